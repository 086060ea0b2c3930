// An app for Go on Linux.
package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

func main() {
	asked := `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"ping"}]}`
	reply, err := http.Post("https://api.openai.com/v1/chat/completions", "application/json", strings.NewReader(asked))
	if err != nil {
		panic(err)
	}
	text, _ := io.ReadAll(reply.Body)
	fmt.Println(string(text))
}

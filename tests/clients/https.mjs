// The same with node:https.
import https from "node:https";

const request = https.request("https://api.openai.com/v1/chat/completions", {
  method: "POST",
  headers: { "content-type": "application/json" },
});
request.on("response", async (reply) => {
  let text = "";
  for await (const piece of reply) text += piece;
  console.log(JSON.parse(text).choices[0].message.content);
});
request.end(JSON.stringify({ model: "gpt-4o-mini", messages: [{ role: "user", content: "ping" }] }));

"""A small app that uses the stock OpenAI SDK and knows nothing of the router."""

import sys

from openai import APIError, OpenAI


def main() -> None:
    """Asks as many questions as the first argument says, every other one as a stream."""
    client = OpenAI()
    for number in range(1, int(sys.argv[1]) + 1):
        question = [{"role": "user", "content": f"Question {number}: are you there?"}]
        try:
            if number % 2:
                answer = client.chat.completions.create(model="gpt-4o-mini", messages=question)
                text = answer.choices[0].message.content
            else:
                stream = client.chat.completions.create(model="gpt-4o-mini", messages=question, stream=True)
                text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        except APIError as error:
            text = f"failed: {error.message}"
        print(f"{number:2}  {text}", flush=True)


if __name__ == "__main__":
    main()

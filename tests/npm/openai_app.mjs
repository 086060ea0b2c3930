// An app that knows nothing of the router, with openai-node: a whole answer and a stream.
import OpenAI from "openai";

const asked = { model: "gpt-4o-mini", messages: [{ role: "user", content: "ping" }] };
const client = new OpenAI({ maxRetries: 0, timeout: 20000 });
const reply = await client.chat.completions.create(asked);
console.log(reply.choices[0].message.content);
let text = "";
for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? "";
}
console.log(text);

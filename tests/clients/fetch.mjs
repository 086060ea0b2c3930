// An app without an SDK, for Node.js, Bun and Deno.
const reply = await fetch("https://api.openai.com/v1/chat/completions", {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ model: "gpt-4o-mini", messages: [{ role: "user", content: "ping" }] }),
});
console.log((await reply.json()).choices[0].message.content);

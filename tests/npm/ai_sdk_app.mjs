// An app on Vercel's AI SDK, as its documentation has it: Responses by default, chat when asked for.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";

const openai = createOpenAI({});
const models = { responses: openai("gpt-4o"), chat: openai.chat("gpt-4o") };
const weather = tool({
  description: "The weather in a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});

const told = {};
for (const [name, model] of Object.entries(models)) {
  const whole = await generateText({ model, prompt: "ping" });
  const streamed = streamText({ model, prompt: "ping" });
  let text = "";
  for await (const piece of streamed.textStream) text += piece;
  const looped = await generateText({ model, prompt: "weather", tools: { weather }, stopWhen: isStepCount(3) });
  told[name] = {
    whole: whole.text,
    tokens: whole.usage.outputTokens,
    streamed: text,
    finish: await streamed.finishReason,
    looped: looped.text,
    results: looped.steps.flatMap((step) => step.toolResults.map((result) => result.output)),
  };
}
console.log(JSON.stringify(told));

// One decision with its whole plan, in a dialog.

import { element, find, tag } from "./elements.js";
import { clock, count, dollars, percent, seconds, UNKNOWN, words } from "./format.js";

export const GOOD = ["answered", "success"];

export function resultTag(result) {
  const kind = GOOD.includes(result) ? "good" : ["client_gone", "hedged_off"].includes(result) ? "" : "bad";
  return tag(words(result), kind);
}

export async function showDecision(id, read) {
  const dialog = find("decision");
  find("decision-title").textContent = "Decision";
  find("decision-body").replaceChildren(element("p", { class: "soft" }, "reading …"));
  if (!dialog.open) dialog.showModal();
  try {
    const decision = await read(`api/decisions/${encodeURIComponent(id)}`);
    find("decision-title").textContent = `${decision.model} → ${decision.answered_by ?? "nobody"}`;
    find("decision-body").replaceChildren(...body(decision));
  } catch {
    const text = "This decision is not among the last ones any more, or the router is gone.";
    find("decision-body").replaceChildren(element("p", { class: "soft" }, text));
  }
}

function body(decision) {
  const usage = decision.usage;
  const tokens = usage ? `${count(usage.input_tokens)} in, ${count(usage.output_tokens)} out` : UNKNOWN;
  const told = [
    ["Result", resultTag(decision.result)],
    ["When", `${new Date(decision.at * 1000).toLocaleDateString()} ${clock(decision.at)}`],
    ["Took", seconds(decision.seconds)],
    ["Endpoint", decision.endpoint + (decision.stream ? ", streamed" : "")],
    ["Cache", decision.cache],
    ["Tokens", tokens],
    ["Cost", dollars(decision.cost_usd)],
    ["Saved", dollars(decision.saved_usd)],
    ["Policy", decision.plan.policy ?? UNKNOWN],
    ["Id", decision.id],
  ];
  const facts = told.flatMap(([name, value]) => [element("div", {}, element("dt", {}, name), element("dd", {}, value))]);
  return [
    element("dl", { class: "facts" }, ...facts),
    decision.error ? element("div", {}, element("h3", {}, "Error"), element("p", { class: "bad-text" }, decision.error)) : null,
    ...attempts(decision.attempts),
    ...plan(decision.plan),
    ...leftOut(decision.plan),
  ].filter((part) => part !== null);
}

function attempts(list) {
  if (!list.length) return [element("h3", {}, "Attempts"), element("p", { class: "soft" }, "None: nobody was asked.")];
  const items = list.map((one) => {
    const first = one.first_content_s === undefined ? null : `first content ${seconds(one.first_content_s)}`;
    const cost = "cost_usd" in one ? `${dollars(one.cost_usd)}${one.cost_source ? ` (${one.cost_source})` : ""}` : null;
    const parts = [seconds(one.seconds), first, one.status ? `status ${one.status}` : null, cost];
    const changes = one.changes?.length ? element("p", { class: "message" }, one.changes.join(", ")) : null;
    return element(
      "li",
      {},
      element(
        "div",
        { class: "what" },
        element("b", {}, one.target),
        resultTag(one.outcome),
        element("span", { class: "soft" }, parts.filter(Boolean).join(" · ")),
      ),
      one.message ? element("p", { class: "message" }, one.message) : null,
      changes,
    );
  });
  return [element("h3", {}, "Attempts"), element("ol", { class: "attempts" }, ...items)];
}

function plan({ targets = [], candidates = [], notes = {} }) {
  if (!targets.length) return [];
  const rows = targets.map((target, place) => {
    const known = candidates[place] ?? {};
    return element(
      "tr",
      {},
      element("td", {}, String(place + 1)),
      element("td", {}, target),
      element("td", { class: "number" }, dollars(known.expected_usd)),
      element("td", { class: "number" }, seconds(known.first_content_s)),
      element("td", { class: "number" }, percent(known.error_rate)),
      element("td", {}, notes[target] ?? ""),
    );
  });
  return [element("h3", {}, "The plan, best first"), tableOf(["", "Target", "Cost", "First content", "Failures", ""], rows)];
}

function leftOut({ left_out: out = [] }) {
  if (!out.length) return [];
  const rows = out.map((one) => element("tr", {}, element("td", {}, one.target), element("td", {}, one.reason)));
  return [element("h3", {}, `Left out (${out.length})`), tableOf(["Target", "Why"], rows)];
}

function tableOf(names, rows) {
  const heads = names.map((name, i) => element("th", { scope: "col", class: i > 1 && i < 5 && names.length > 2 ? "number" : "" }, name));
  const body = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "table" }, body);
}

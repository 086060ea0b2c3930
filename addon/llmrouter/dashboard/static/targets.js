// The targets as they stand now: breakers and rests with the time left, and what is left of quotas.

import { barRow, element, empty, find, tag } from "./elements.js";
import { count, dollars, duration, percent, seconds, words } from "./format.js";

const LOW = 0.1;

export function drawTargets(targets) {
  const rows = targets.map((one) =>
    element(
      "tr",
      {},
      element("td", {}, one.key),
      element("td", {}, ...stateOf(one)),
      element("td", { class: "number" }, String(one.in_flight)),
      element("td", { class: "number" }, seconds(one.first_content_s.p50)),
      element("td", { class: "number" }, percent(one.error_rate)),
      element("td", {}, quota(one)),
    ),
  );
  if (!rows.length) {
    const text = ["No targets: no provider has a key. ", element("code", {}, ".venv/bin/llmrouter config init")];
    rows.push(element("tr", {}, element("td", { colspan: "6" }, empty(...text))));
  }
  find("targets").tBodies[0].replaceChildren(...rows);
}

function stateOf({ breaker, opens_again_in_s: opens, resting }) {
  const tags = [];
  if (resting) tags.push(timed(`rests: ${words(resting.reason)}`, resting.left_s, "warn"));
  if (breaker === "open") tags.push(timed("breaker open", opens, "bad"));
  if (breaker === "half_open") tags.push(tag("breaker half open", "warn"));
  return tags.length ? tags : [tag("well", "good")];
}

// The text goes on counting between two looks.
function timed(text, left, kind) {
  const node = tag(text, kind);
  if (left !== null && left !== undefined) {
    node.dataset.text = text;
    node.dataset.until = String(Date.now() + left * 1000);
    tell(node);
  }
  return node;
}

export function countDown() {
  document.querySelectorAll("[data-until]").forEach(tell);
}

function tell(node) {
  const left = (Number(node.dataset.until) - Date.now()) / 1000;
  node.textContent = `${node.dataset.text}, ${left > 0 ? duration(left) : "ends now"}`;
}

function quota({ limits_left: left, limits }) {
  const rows = Object.entries(left).map(([name, amount]) => {
    const most = limits[name];
    const shown = name.startsWith("usd_") ? dollars : count;
    if (!most) return element("span", { class: "soft" }, `${words(name)}: ${shown(amount)}`);
    const share = amount / most;
    return barRow(words(name), [element("b", {}, shown(amount)), ` of ${shown(most)}`], 0, share, share < LOW ? "low" : "");
  });
  return rows.length ? element("div", { class: "quota" }, ...rows) : element("span", { class: "soft" }, "no limit");
}

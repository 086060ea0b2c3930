// The dashboard: reads the router's own figures again and again while somebody looks, and draws them.

import { drawChart } from "./charts.js";
import { barRow, element, empty, find, tag } from "./elements.js";
import { clock, count, dollars, duration, percent, seconds, UNKNOWN, words } from "./format.js";
import { resultTag, showDecision } from "./plan.js";
import { drawTargets, countDown } from "./targets.js";

const EVERY_MS = 2000;
const PATIENCE_MS = 8000;
const MOST_ROWS = 50;
const MOST_BARS = 8;
const THEME = "llmrouter-theme";

const state = { range: "day", by: "by_provider", usage: null, drawn: "", timer: 0, turn: 0 };

async function read(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function look() {
  clearTimeout(state.timer);
  state.turn += 1;
  const turn = state.turn;
  let wait = EVERY_MS;
  try {
    const pages = ["api/status", `api/decisions?limit=${MOST_ROWS}`, `api/usage?range=${state.range}`];
    const [status, decisions, usage] = await Promise.all(pages.map(read));
    if (turn !== state.turn) return;
    state.usage = usage;
    show(status, decisions.data);
    if (state.usage.state === "reading") wait = 300;
    live(true, `live · up ${duration(status.uptime_s)} · version ${status.version}`);
  } catch (error) {
    if (turn !== state.turn) return;
    live(false, "The router does not answer; trying again …");
    console.info(String(error));
  }
  if (!document.hidden) state.timer = setTimeout(look, wait);
}

function live(isOn, text) {
  find("live").className = isOn ? "on" : "off";
  if (find("live-text").textContent !== text) find("live-text").textContent = text;
}

function show(status, decisions) {
  const usage = state.usage;
  find("notice").hidden = usage.state !== "off";
  find("notice").textContent =
    "The ledger is off, so that the figures are those since the router's start. Set storage: {ledger: {enabled: true}} for more.";
  drawTiles(usage.state === "ready" ? usage : sinceStart(status));
  drawTargets(status.targets);
  drawDecisions(decisions);
  const drawn = `${JSON.stringify(usage)} ${state.by} ${find("money").clientWidth}`;
  if (drawn !== state.drawn && usage.state !== "reading") {
    state.drawn = drawn;
    drawUsage(usage.state === "ready" ? usage : sinceStart(status));
  }
}

// What the status page adds up, in the ledger's words; it has no course of time.
function sinceStart({ totals, at }) {
  const lines = (groups) => Object.entries(groups).map(([key, one]) => ({ key, calls: one.answered, cost_usd: one.cost_usd, saved_usd: one.saved_usd }));
  const hits = (totals.cache.hit ?? 0) + (totals.cache.shared ?? 0);
  const latencies = Object.entries(totals.by_provider).map(([provider, { first_content_s: time }]) => ({
    provider, is_stream: null, p50_s: time.p50, p95_s: time.p95,
  }));
  return {
    total: {
      calls: totals.requests, failed: totals.failed, cache_hits: hits, cost_usd: totals.cost_usd, saved_usd: totals.saved_usd,
      unknown_cost: totals.unpriced, input_tokens: null, output_tokens: null,
    },
    over_time: [], since: at, until: at, bucket_s: 1,
    by_provider: lines(totals.by_provider), by_model: lines(totals.by_model),
    latencies: latencies.filter((one) => one.p50_s !== null),
    failed_calls: Object.entries(totals.failures_by_status).map(([status, n]) => ({ kind: `status ${status}`, count: n })),
    failed_attempts: [],
  };
}

function drawTiles({ total, latencies }) {
  const share = total.calls ? total.cache_hits / total.calls : null;
  const first = [...latencies].sort((a, b) => b.answers - a.answers)[0];
  const unknown = total.unknown_cost ? `${count(total.unknown_cost)} calls of unknown cost` : "";
  const tiles = [
    ["Saved", dollars(total.saved_usd), "against the model asked for", "saved"],
    ["Spent", dollars(total.cost_usd), unknown, ""],
    ["Requests", count(total.calls), total.input_tokens === null ? "" : `${count(total.input_tokens + total.output_tokens)} tokens`, ""],
    ["From the cache", percent(share), `${count(total.cache_hits)} requests`, ""],
    ["Failed", count(total.failed), total.calls ? `${percent(total.failed / total.calls)} of all` : "", total.failed ? "bad" : ""],
    ["First content", first ? seconds(first.p50_s) : UNKNOWN, first ? `95th: ${seconds(first.p95_s)} · ${first.provider}` : "", ""],
  ];
  find("tiles").replaceChildren(
    ...tiles.map(([name, value, more, kind]) =>
      element(
        "div",
        { class: `tile ${kind}` },
        element("div", { class: "name" }, name),
        element("div", { class: "value" }, value),
        element("div", { class: "more" }, more),
      ),
    ),
  );
}

function drawUsage(usage) {
  const { since, until, bucket_s: bucket } = usage;
  const moments = [];
  if (usage.over_time.length) for (let at = since; at < until; at += bucket) moments.push(at);
  const of = new Map(usage.over_time.map((one) => [one.at, one]));
  const values = (name) => moments.map((at) => of.get(at)?.[name] ?? 0);
  const common = { moments, bucket, span: until - since };
  drawChart(find("money"), {
    ...common, format: dollars, label: "Saved and spent over time; arrow keys tell single moments",
    series: [
      { name: "saved", kind: "c-saved", values: values("saved_usd") },
      { name: "spent", kind: "c-spent", values: values("cost_usd") },
    ],
  });
  const hits = values("cache_hits");
  const answered = values("answered").map((all, i) => Math.max(0, all - hits[i]));
  drawChart(find("requests"), {
    ...common, format: count, stacked: true, label: "Requests over time; arrow keys tell single moments",
    series: [
      { name: "answered by providers", kind: "c-answered", values: answered },
      { name: "from the cache", kind: "c-cache", values: hits },
      { name: "failed", kind: "c-failed", values: values("failed") },
    ],
  });
  const unknown = usage.total.unknown_cost;
  find("money-note").textContent = unknown ? `without ${count(unknown)} calls whose cost nobody knows` : "";
  drawBy(usage[state.by]);
  drawLatencies(usage.latencies);
  drawErrors(usage);
}

function drawBy(lines) {
  const named = lines.filter((one) => one.key !== null && one.calls);
  const most = Math.max(...named.map((one) => one.calls), 1);
  const rows = named.slice(0, MOST_BARS).map((one) => {
    const money = one.cost_usd === null ? "" : ` · ${dollars(one.cost_usd)}`;
    return barRow(one.key, [element("b", {}, count(one.calls)), money], 0, one.calls / most);
  });
  const rest = named.length - rows.length;
  if (rest > 0) rows.push(element("p", { class: "soft" }, `and ${rest} more`));
  find("by").replaceChildren(rows.length ? element("div", { class: "rows" }, ...rows) : empty("Nobody answered yet."));
}

function drawLatencies(latencies) {
  const most = Math.max(...latencies.map((one) => one.p95_s), 0.001);
  const rows = latencies.slice(0, MOST_BARS).map((one) => {
    const kind = one.is_stream === null ? "" : one.is_stream ? " · streams" : " · whole answers";
    const amount = [element("b", {}, seconds(one.p50_s)), ` to ${seconds(one.p95_s)}`];
    return barRow(one.provider + kind, amount, one.p50_s / most, one.p95_s / most, "info");
  });
  find("latency").replaceChildren(rows.length ? element("div", { class: "rows" }, ...rows) : empty("No answers yet."));
}

function drawErrors({ failed_calls: calls, failed_attempts: attempts }) {
  const parts = [];
  for (const [title, list] of [["Requests that failed", calls], ["Attempts that failed, whoever answered then", attempts]]) {
    if (!list.length) continue;
    const most = Math.max(...list.map((one) => one.count));
    const rows = list.slice(0, 6).map((one) => {
      const label = one.provider ? `${one.provider} · ${words(one.kind)}` : words(one.kind);
      return barRow(label, [element("b", {}, count(one.count))], 0, one.count / most, "bad");
    });
    parts.push(element("h3", {}, title), element("div", { class: "rows" }, ...rows));
  }
  find("errors").replaceChildren(...(parts.length ? parts : [empty("None. ", tag("all well", "good"))]));
}

function drawDecisions(decisions) {
  const body = find("decisions").tBodies[0];
  const focused = document.activeElement?.dataset?.id;
  const rows = decisions.map((one) => {
    const answer = one.attempts.at(-1);
    const by = one.answered_by ?? UNKNOWN;
    const cells = [
      element("td", { class: "nowrap soft" }, clock(one.at)),
      element("td", {}, one.model),
      element("td", {}, one.cache === "hit" || one.cache === "shared" ? tag("cache", "info") : "", by),
      element("td", {}, resultTag(one.result)),
      element("td", { class: "number" }, String(one.attempts.length)),
      element("td", { class: "number" }, seconds(answer?.first_content_s)),
      element("td", { class: "number" }, seconds(one.seconds)),
      element("td", { class: "number" }, dollars(one.cost_usd)),
      element("td", { class: "number" }, dollars(one.saved_usd)),
    ];
    return element("tr", { tabindex: "0", "data-id": one.id, "aria-haspopup": "dialog" }, ...cells);
  });
  if (!rows.length) {
    const text = ["No decisions yet. Send one: ", element("code", {}, ".venv/bin/llmrouter run -- python app.py")];
    rows.push(element("tr", {}, element("td", { colspan: "9" }, empty(...text))));
  }
  body.replaceChildren(...rows);
  if (focused) body.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function choose(group, name, take) {
  find(group).addEventListener("click", ({ target }) => {
    const value = target.dataset[name];
    if (!value) return;
    for (const one of find(group).children) one.setAttribute("aria-pressed", String(one === target));
    take(value);
    look();
  });
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

function begin() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  setTheme(localStorage.getItem(THEME) ?? (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", () => localStorage.getItem(THEME) ?? setTheme(dark.matches ? "dark" : "light"));
  find("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem(THEME, theme);
    setTheme(theme);
  });
  choose("ranges", "range", (range) => (state.range = range));
  choose("by-switch", "by", (by) => (state.by = by));
  const open = ({ target }) => {
    const row = target.closest("[data-id]");
    if (row) showDecision(row.dataset.id, read);
  };
  find("decisions").addEventListener("click", open);
  find("decisions").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    open(event);
  });
  find("close").addEventListener("click", () => find("decision").close());
  document.addEventListener("visibilitychange", () => !document.hidden && look());
  addEventListener("resize", () => (state.drawn = ""));
  setInterval(countDown, 1000);
  look();
}

begin();

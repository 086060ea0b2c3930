// A chart over time as SVG: areas or stacked bars, with the figures of one moment under the mouse or the arrow keys.

import { element, empty, shape } from "./elements.js";
import { moment } from "./format.js";

const HEIGHT = 208;
const EDGE = { left: 46, right: 6, top: 8, bottom: 22 };
const places = new WeakMap();

// `series` are {name, kind, values}, a value for each moment in `moments`; `format` makes a figure readable.
export function drawChart(holder, { moments, bucket, span, series, format, stacked, label }) {
  if (!moments.length || series.every((one) => one.values.every((value) => !value))) {
    holder.replaceChildren(empty("No calls in this span of time."));
    return;
  }
  const width = Math.max(260, holder.clientWidth);
  const tops = moments.map((_, i) => {
    const values = series.map((one) => one.values[i]);
    return stacked ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values);
  });
  const steps = ticks(Math.max(...tops));
  const most = steps.at(-1);
  const x = (i) => EDGE.left + ((i + 0.5) / moments.length) * (width - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - (Math.max(0, value) / most) * (HEIGHT - EDGE.top - EDGE.bottom);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, tabindex: "0", role: "img", "aria-label": label });
  drawAxes(svg, { width, steps, y, x, moments, span, format });
  const size = Math.max(1.5, ((width - EDGE.left - EDGE.right) / moments.length) * 0.72);
  if (stacked) drawBars(svg, series, x, y, size);
  else series.forEach((one) => drawArea(svg, one, x, y));
  const cursor = shape("g", { visibility: "hidden" });
  svg.append(cursor);
  const legend = element("p", { class: "legend" });
  const place = places.get(holder) ?? null;
  const hadFocus = holder.contains(document.activeElement);
  holder.replaceChildren(svg, legend);
  places.set(holder, place);
  if (hadFocus) svg.focus({ preventScroll: true });
  follow(holder, svg, cursor, legend, { width, moments, bucket, span, series, format, x, y, stacked });
}

function drawAxes(svg, { width, steps, y, x, moments, span, format }) {
  for (const step of steps) {
    svg.append(
      shape("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(step), y2: y(step) }),
      shape("text", { class: "axis", x: EDGE.left - 6, y: y(step) + 4, "text-anchor": "end" }, format(step)),
    );
  }
  const number = Math.min(moments.length, Math.max(2, Math.floor(width / 130)));
  for (let n = 0; n < number; n += 1) {
    const i = Math.round(((n + 0.5) / number) * (moments.length - 1));
    const place = { class: "axis", x: x(i), y: HEIGHT - 5, "text-anchor": "middle" };
    svg.append(shape("text", place, moment(moments[i], span)));
  }
}

function drawArea(svg, { kind, values }, x, y) {
  const line = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" L");
  const base = y(0).toFixed(1);
  svg.append(
    shape("path", { class: `area ${kind}`, d: `M${x(0)},${base} L${line} L${x(values.length - 1)},${base} Z` }),
    shape("path", { class: `stroke ${kind}`, d: `M${line}` }),
  );
}

function drawBars(svg, series, x, y, size) {
  const floor = series[0].values.map(() => 0);
  for (const { kind, values } of series) {
    values.forEach((value, i) => {
      if (!value) return;
      const top = y(floor[i] + value);
      const height = Math.max(1, y(floor[i]) - top);
      svg.append(shape("rect", { class: `bar ${kind}`, x: x(i) - size / 2, y: top, width: size, height, rx: 1 }));
      floor[i] += value;
    });
  }
}

// The figures of the moment that is looked at; of all of them together where none is.
function follow(holder, svg, cursor, legend, chart) {
  const { width, moments, bucket, span, series, format, x, y, stacked } = chart;
  const show = (i) => {
    const at = i === null ? null : Math.min(moments.length - 1, Math.max(0, i));
    places.set(holder, at);
    cursor.setAttribute("visibility", at === null ? "hidden" : "visible");
    cursor.replaceChildren();
    const when = at === null ? "in all" : `${moment(moments[at], span)} – ${moment(moments[at] + bucket, span)}`;
    const parts = series.map(({ name, kind, values }) => {
      const value = at === null ? values.reduce((sum, one) => sum + one, 0) : values[at];
      const text = element("span", {}, element("i", { class: `swatch ${kind}` }), `${name} `, element("b", {}, format(value)));
      if (at !== null && !stacked) cursor.append(shape("circle", { class: `point ${kind}`, cx: x(at), cy: y(value), r: 4 }));
      return text;
    });
    if (at !== null) {
      cursor.prepend(shape("line", { class: "cursor", x1: x(at), x2: x(at), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }));
    }
    legend.replaceChildren(...parts, element("span", {}, when));
  };
  const under = (event) => {
    const box = svg.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * width - EDGE.left;
    return Math.floor((place / (width - EDGE.left - EDGE.right)) * moments.length);
  };
  svg.addEventListener("pointermove", (event) => show(under(event)));
  svg.addEventListener("pointerleave", () => show(null));
  svg.addEventListener("blur", () => show(null));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") show(null);
    if (!step) return;
    event.preventDefault();
    const from = places.get(holder) ?? (step > 0 ? -1 : moments.length);
    show(from + step);
  });
  show(places.get(holder) ?? null);
}

function ticks(most) {
  const rough = (most || 1) / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * size).find((n) => n >= rough);
  const number = Math.ceil((most || 1) / step - 1e-9);
  return Array.from({ length: number + 1 }, (_, n) => n * step);
}

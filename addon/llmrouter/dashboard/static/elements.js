// Elements out of names and values. Text is only ever set as text: names and messages come from strangers.

const SVG = "http://www.w3.org/2000/svg";

export function find(id) {
  return document.getElementById(id);
}

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function tag(text, kind = "") {
  return element("span", { class: `tag ${kind}` }, text);
}

export function empty(...children) {
  return element("p", { class: "empty" }, ...children);
}

// A label, an amount, and a bar of a share of the whole from one place to another.
export function barRow(label, amount, from, to, kind = "") {
  const bar = element("span");
  bar.style.left = `${Math.max(0, from) * 100}%`;
  bar.style.right = `${(1 - Math.min(1, to)) * 100}%`;
  return element(
    "div",
    { class: "row" },
    element("span", { class: "label", title: label }, label),
    element("span", { class: "amount" }, ...amount),
    element("div", { class: `track ${kind}`, "aria-hidden": "true" }, bar),
  );
}

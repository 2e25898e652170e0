// Elements are made by el alone: what modules and records say becomes text, never markup.

export const $ = (id) => document.getElementById(id);

// el makes an element with properties, aria-, data- and other attributes with a hyphen, and children.
export function el(tag, properties = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false && name.includes("-")) continue;
    if (name.includes("-") || name === "role" || name === "for" || name === "list") e.setAttribute(name, value);
    else e[name] = value;
  }
  e.append(...children.filter((c) => c !== undefined && c !== null));
  return e;
}

// plural is "1 record" or "2 records".
export const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

const token = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

// ink is a line of JSON as spans of what its parts are.
export function ink(text) {
  const parts = [];
  let last = 0;
  for (const m of text.matchAll(token)) {
    if (m.index > last) parts.push(text.slice(last, m.index));
    const kind = m[1] ? (m[2] !== undefined ? "key" : "string") : m[3] ? "number" : "word";
    const body = m[1] ?? m[0];
    parts.push(el("span", { className: kind, textContent: body }));
    if (m[2]) parts.push(m[2]);
    last = m.index + m[0].length;
  }
  parts.push(text.slice(last));
  return parts;
}

import { $, ink } from "./dom.js";

// Beyond this text has one colour: highlighting it would take longer than typing may.
const maxInk = 60_000;

const input = $("input"), gutter = $("gutter"), paper = $("ink");

let marked = new Map(); // statuses of lines

function draw() {
  const text = input.value;
  const plain = text.length > maxInk;
  input.classList.toggle("plain", plain);
  paper.replaceChildren(...(plain ? [] : [...ink(text), "\n"]));
  drawGutter();
  scroll();
}

function drawGutter() {
  const lines = input.value.split("\n").length;
  const out = [];
  for (let n = 1, from = 1; n <= lines + 1; n++) {
    const status = n <= lines ? marked.get(n) : undefined;
    if (status === undefined && n <= lines) continue;
    if (n > from) out.push(numbers(from, n - 1));
    if (status !== undefined) {
      const line = document.createElement("span");
      line.className = status;
      line.textContent = `${n}\n`;
      out.push(line);
    }
    from = n + 1;
  }
  gutter.replaceChildren(...out);
}

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join("");

function scroll() {
  paper.scrollTop = gutter.scrollTop = input.scrollTop;
  paper.scrollLeft = input.scrollLeft;
}

export function start(changed) {
  input.addEventListener("input", () => { marked = new Map(); draw(); changed(); });
  input.addEventListener("scroll", scroll, { passive: true });
}

export const text = () => input.value;

export function setText(value) {
  input.value = value;
  marked = new Map();
  draw();
  input.scrollTop = input.scrollLeft = 0;
  input.setSelectionRange(0, 0);
}

// mark tells the lines of records by what became of these.
export function mark(statuses) {
  marked = statuses;
  drawGutter();
  scroll();
}

// show selects a line.
export function show(number) {
  const lines = input.value.split("\n");
  const at = lines.slice(0, number - 1).reduce((n, l) => n + l.length + 1, 0);
  input.focus();
  input.setSelectionRange(at, at + (lines[number - 1] ?? "").length);
  const height = input.scrollHeight / lines.length;
  input.scrollTop = (number - 1) * height - input.clientHeight / 2;
  scroll();
}

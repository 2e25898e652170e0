import { $, el, ink, plural } from "./dom.js";

// What is made at once: more is made when it is asked for.
const atOnce = 100;
const maxOutputLines = 1000;

const words = {
  changed: { mark: "±", name: "changed" },
  unchanged: { mark: "=", name: "unchanged" },
  dropped: { mark: "−", name: "dropped" },
  routed: { mark: "→", name: "routed" },
  tick: { mark: "◷", name: "tick" },
  failed: { mark: "!", name: "failed" },
  unreadable: { mark: "?", name: "unreadable" },
};

let wanted = "all"; // which records are shown
let opened = new Map(); // which lines the user has opened or closed
let goToLine = () => {};

export function start(showLine) {
  goToLine = showLine;
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const select = (tab) => {
    for (const t of tabs) {
      const on = t === tab;
      t.setAttribute("aria-selected", on);
      t.tabIndex = on ? 0 : -1;
      $(t.getAttribute("aria-controls")).hidden = !on;
    }
  };
  for (const [i, tab] of tabs.entries()) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (e) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      const next = tabs[to % tabs.length];
      select(next);
      next.focus();
    });
  }
}

const count = (tab, text) => { $(`tab-${tab}`).querySelector(".count").textContent = text; };

const lineButton = (n) => el("button", { type: "button", className: "quiet line-link", textContent: `line ${n}`, onclick: () => goToLine(n) });

export function show(result) {
  $("problem").hidden = !result.problem;
  $("problem").replaceChildren(...(result.problem ? [el("strong", { textContent: "The filter does not start" }), reason(result.problem.text)] : []));
  $("notes").replaceChildren(...(result.notes ?? []).map((n) => el("li", { textContent: n })));
  showRecords(result);
  showOutput(result);
  showLog(result);
  showMetrics(result);
  showTime(result);
}

// reason is why something failed, with a backtrace as a list: the log has both on one line.
function reason(text) {
  const [what, trace] = text.split("; backtrace: ");
  const out = el("div", { className: "reason" }, el("p", { textContent: what }));
  if (trace) {
    // What the filter says after it, such as what became of the instance, stands on its own.
    const [frames, ...rest] = trace.split("; ");
    out.append(el("ol", { className: "trace", "aria-label": "Backtrace, the innermost first" }, ...frames.split(" <- ").map((f) => el("li", { textContent: f }))));
    if (rest.length) out.append(el("p", { textContent: rest.join("; ") }));
  }
  return out;
}

function showRecords(result) {
  const c = result.counts, panel = $("panel-records");
  count("records", c.records ? c.records.toLocaleString("en") : "");
  if (result.problem) { panel.replaceChildren(); return; }
  if (!c.records) {
    panel.replaceChildren(el("p", { className: "empty", textContent: "There are no records: paste some, or drop a file." }));
    return;
  }
  const groups = [["all", "All", c.records], ["changed", "Changed", c.changed], ["dropped", "Dropped", c.dropped], ["routed", "Routed", c.routed],
    ["failed", "Failed", c.failed], ["added", "Added", c.added], ["emitted", "Emitted", c.emitted], ["unchanged", "Unchanged", c.unchanged]].filter((g) => g[2] || g[0] === "all");
  if (!groups.some((g) => g[0] === wanted)) wanted = "all";
  const list = el("ol", { className: "records", "aria-label": "What became of the records" });
  const chips = el("div", { className: "chips", role: "group", "aria-label": "Which records are shown" });
  const more = el("button", { type: "button" });
  let shown = [], next = 0;
  const page = () => {
    list.append(...shown.slice(next, next + atOnce).map(card));
    next += atOnce;
    more.hidden = next >= shown.length;
    more.textContent = `Show ${Math.min(atOnce, shown.length - next)} more of ${plural(shown.length - next, "record")}`;
  };
  more.onclick = page;
  const fill = () => {
    for (const chip of chips.children) chip.setAttribute("aria-pressed", chip.value === wanted);
    shown = result.records.filter((r) => wanted === "all" || r.status === wanted || wanted === "added" && r.added || wanted === "emitted" && r.emitted || wanted === "failed" && r.status === "unreadable");
    list.replaceChildren();
    next = 0;
    page();
  };
  for (const [value, name, n] of groups) {
    chips.append(el("button", { type: "button", value, className: `chip ${value}`, textContent: `${name} ${n.toLocaleString("en")}`, onclick: () => { wanted = value; fill(); } }));
  }
  fill();
  panel.replaceChildren(chips, list, more);
}

function card(r) {
  const w = words[r.status];
  const open = opened.get(r.line) ?? r.status !== "unchanged";
  const body = el("div", { className: "body", id: `record-${r.line}-${Math.random().toString(36).slice(2)}`, hidden: !open });
  const fill = () => { if (!body.firstChild) body.append(...details(r)); };
  if (open) fill();
  let about = "";
  if (r.status === "changed") about = [r.differ && plural(r.differ, "difference"), r.added && `${r.added} added`, r.emitted && `${r.emitted} emitted`].filter(Boolean).join(", ");
  else if (r.emitted) about = r.others?.length ? `under ${[...new Set(r.others.map((e) => e.tag))].join(", ")}`.slice(0, 300) : "";
  else if (r.output?.length) about = r.output[0].slice(0, 300);
  const toggle = el("button", {
    type: "button", className: "toggle", "aria-expanded": String(open), "aria-controls": body.id,
    onclick: () => {
      body.hidden = !body.hidden;
      fill();
      toggle.setAttribute("aria-expanded", !body.hidden);
      opened.set(r.line, !body.hidden);
    },
  }, el("span", { className: "mark", "aria-hidden": "true", textContent: w.mark }), el("span", { className: "name", textContent: w.name }), " ",
  el("span", { className: "about", textContent: about }));
  return el("li", { className: `record ${r.status}` },
    el("div", { className: "head" }, toggle, el("span", { className: "micros", textContent: r.micros ? `${micros(r.micros)}` : "" }),
      r.line ? lineButton(r.line) : el("span", { className: "hint", textContent: "at the end" })), body);
}

function details(r) {
  const out = [];
  if (r.reason) out.push(reason(r.reason));
  for (const b of r.blocks ?? []) {
    if (b.title) out.push(el("h3", { textContent: b.title }));
    out.push(diff(b));
  }
  return out;
}

function diff(b) {
  const pre = el("pre", { className: "diff" });
  for (const l of b.lines) {
    const said = { "+": "added: ", "-": "removed: " }[l.s];
    pre.append(el("span", { className: `l ${{ "+": "is", "-": "was" }[l.s] ?? ""}` },
      el("span", { className: "sign", textContent: { "+": "+", "-": "−" }[l.s] ?? " " }),
      said ? el("span", { className: "vh", textContent: said }) : null, "  ".repeat(l.d ?? 0), ...ink(l.t), "\n"));
  }
  if (b.more) pre.append(el("span", { className: "l hint", textContent: "  … there is more than is shown\n" }));
  return pre;
}

function showOutput(result) {
  const lines = [];
  let events = 0, tag; // that of the lines that are next to come, if one has been said
  const add = (of, line) => {
    if (tag !== of) lines.push(JSON.stringify(["tag", tag = of]));
    lines.push(line);
    events++;
  };
  for (const r of result.records) {
    tag ??= r.tag;
    for (const l of r.output ?? []) add(r.tag, l);
    for (const e of r.others ?? []) add(e.tag, e.line);
  }
  count("output", events ? events.toLocaleString("en") : "");
  const pre = el("pre", { className: "plain" });
  for (const l of lines.slice(0, maxOutputLines)) pre.append(...(l.length < 2000 ? ink(l) : [l]), "\n");
  const copy = el("button", { type: "button", textContent: "Copy", onclick: async () => { await navigator.clipboard.writeText(lines.join("\n") + "\n"); copy.textContent = "Copied"; } });
  const left = lines.length - maxOutputLines;
  $("panel-output").replaceChildren(...(lines.length ? [el("div", { className: "row" }, copy, el("span", { className: "hint", textContent: left > 0 ? `${plural(left, "line")} more are copied, and not shown` : "One event a line" })), pre]
    : [el("p", { className: "empty", textContent: "Nothing came out." })]));
}

function showLog(result) {
  count("log", result.log.length ? result.log.length.toLocaleString("en") : "");
  const list = el("ol", { className: "log" });
  let next = 0;
  const more = el("button", { type: "button" });
  const page = () => {
    for (const l of result.log.slice(next, next + 5 * atOnce)) {
      list.append(el("li", { className: l.level }, el("span", { className: "level", textContent: l.level }), reason(l.text), l.line ? lineButton(l.line) : null));
    }
    next += 5 * atOnce;
    more.hidden = next >= result.log.length;
    more.textContent = `Show more of ${plural(result.log.length - next, "line")}`;
  };
  more.onclick = page;
  page();
  $("panel-log").replaceChildren(...(result.log.length ? [list, more] : [el("p", { className: "empty", textContent: "The log is empty." })]));
}

function showMetrics(result) {
  const n = result.metrics.filter((l) => !l.startsWith("#")).length;
  count("metrics", n ? n.toLocaleString("en") : "");
  const pre = el("pre", { className: "plain metrics" });
  for (const l of result.metrics) {
    const at = l.lastIndexOf(" ");
    if (l.startsWith("#")) pre.append(el("span", { className: "hint", textContent: l }), "\n");
    else pre.append(l.slice(0, at), el("span", { className: "number", textContent: l.slice(at) }), "\n");
  }
  $("panel-metrics").replaceChildren(result.metrics.length ? pre : el("p", { className: "empty", textContent: "The module has no metrics." }));
}

const micros = (n) => (n >= 10_000 ? `${(n / 1000).toFixed(0)} ms` : n >= 1000 ? `${(n / 1000).toFixed(1)} ms` : `${n < 10 ? n.toFixed(1) : n.toFixed(0)} µs`);

function showTime(result) {
  const t = result.time;
  count("time", t ? micros(t.median) : "");
  if (!t) {
    $("panel-time").replaceChildren(el("p", { className: "empty", textContent: "No record has run." }));
    return;
  }
  const figures = el("dl", { className: "figures" });
  for (const [name, value] of [["median", t.median], ["mean", t.mean], ["95 %", t.p95], ["least", t.min], ["most", t.max]]) {
    figures.append(el("div", {}, el("dt", { textContent: name }), el("dd", { textContent: micros(value) })));
  }
  const most = Math.max(...t.buckets.map((b) => b.n));
  const body = el("tbody");
  for (const b of t.buckets) {
    const bar = el("div", { className: "bar-fill" });
    bar.style.width = `${(100 * b.n) / most}%`;
    body.append(el("tr", {}, el("th", { scope: "row", textContent: `below ${edge(b.below)}` }), el("td", { className: "n", textContent: b.n.toLocaleString("en") }), el("td", { className: "bars", "aria-hidden": "true" }, b.n ? bar : null)));
  }
  $("panel-time").replaceChildren(figures,
    el("table", { className: "histogram" }, el("caption", { textContent: "Records by their time" }),
      el("thead", {}, el("tr", {}, el("th", { scope: "col", textContent: "Time" }), el("th", { scope: "col", textContent: "Records" }), el("td", {}))), body),
    el("p", { className: "hint", textContent: "Each record runs in a chunk of its own here; the first ones touch memory for the first time. In Fluent Bit, where chunks hold many, a record takes less: flb-wasmtime bench measures it." }));
}

const edge = (n) => (n >= 1e6 ? `${n / 1e6} s` : n >= 1000 ? `${n / 1000} ms` : `${n} µs`);

// summary says in words what became of the records.
export function summary(result) {
  if (result.problem) return `The filter does not start: ${result.problem.text}`;
  const c = result.counts;
  const parts = [["changed", c.changed], ["unchanged", c.unchanged], ["dropped", c.dropped], ["routed", c.routed], ["added", c.added], ["emitted", c.emitted], ["failed", c.failed]].filter((p) => p[1]).map((p) => `${p[1].toLocaleString("en")} ${p[0]}`);
  return `${plural(c.records, "record")}${parts.length ? ": " + parts.join(", ") : ""}${result.time ? `; median ${micros(result.time.median)}` : ""}`;
}

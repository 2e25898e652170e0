import { $, el, plural } from "./dom.js";

// Which options stand at the top: those that are tried out most. "" is where those of the module stand.
const first = ["function_name", "event_format", "on_error", "split", "timeout"];
const configPrefix = "config.";

let rows = [], fields = new Map(), changed = () => {};
let tag, level, quick, functions;

export function start(state, onChange) {
  rows = state.rows;
  changed = onChange;
  const config = rows.find((r) => r.name === configPrefix);
  const list = el("div", { className: "pairs", id: "config-rows" });
  const module = el("fieldset", {}, el("legend", { textContent: "Of the module" }), el("p", { className: "hint", textContent: config.help }), list,
    el("button", { type: "button", className: "quiet", textContent: "Add a key", id: "config-add", onclick: () => { addPair("", "").focus(); } }));

  tag = el("input", { id: "option-tag", value: state.tag, spellcheck: false });
  level = el("select", { id: "option-log_level" }, ...state.logLevels.map((l) => el("option", { value: l, textContent: l })));
  level.value = state.logLevel;
  quick = el("select", { id: "option-quick" }, el("option", { value: "", textContent: "optimised" }), el("option", { value: "1", textContent: "quickly" }));
  quick.value = state.quick ? "1" : "";
  functions = el("datalist", { id: "functions" });

  const run = el("fieldset", {}, el("legend", { textContent: "Of the run" }),
    labelled("tag", tag, "Tag of the records, unless a line [\"tag\", TAG] before them says it"),
    labelled("log_level", level, "What of the filter's log is shown"),
    labelled("compiled", quick, "Quickly compiled code is there sooner, and runs slower"));
  const often = el("fieldset", {}, el("legend", { textContent: "Of the filter" }));
  const more = el("details", { id: "more" }, el("summary", { textContent: "All options" }));
  for (const r of rows) {
    if (r.name === configPrefix) continue;
    const f = field(r);
    (first.includes(r.name) ? often : more).append(f);
  }
  $("form").replaceChildren(module, often, run, more, functions);
  $("form").addEventListener("input", () => { summary(); changed(); });
  $("form").addEventListener("submit", (e) => e.preventDefault());
  set(state.options, true);
}

function labelled(name, input, help, id = `help-${name}`) {
  input.setAttribute("aria-describedby", id);
  return el("div", { className: "field" }, el("label", { for: input.id, textContent: name }), input, el("p", { className: "hint", id, textContent: help }));
}

function field(r) {
  const id = `option-${r.name.replace(".", "")}`;
  let input;
  const choices = r.type === "on or off" ? ["on", "off"] : r.values;
  if (choices && !r.open) {
    input = el("select", { id }, el("option", { value: "", textContent: r.default ? `${r.default} (default)` : "not set" }),
      ...choices.map((v) => el("option", { value: v, textContent: v })));
  } else if (r.multiple || r.prefix) {
    input = el("textarea", { id, rows: 1, spellcheck: false });
  } else {
    input = el("input", { id, placeholder: r.default, spellcheck: false });
  }
  if (r.open) input.setAttribute("list", `choices-${id}`); // these, and others
  if (r.name === "function_name") {
    input.setAttribute("list", "functions");
    input.placeholder = "the only one";
  }
  input.disabled = !!r.fixed;
  fields.set(r.name, input);
  const help = r.fixed ? `${r.help}. It is given when flb-wasmtime play is started.` : r.help;
  const label = labelled(r.name.replace(/\.$/, ".NAME"), input, help, `help-${id}`);
  label.append(el("p", { className: "error", id: `error-${id}` }));
  if (r.open) label.append(el("datalist", { id: `choices-${id}` }, ...choices.map((v) => el("option", { value: v }))));
  return label;
}

function addPair(key, value) {
  const k = el("input", { className: "pair-key", placeholder: "key", value: key, "aria-label": "Key", spellcheck: false });
  const v = el("input", { className: "pair-value", placeholder: "value", value, "aria-label": "Value", spellcheck: false });
  const row = el("div", { className: "pair" }, el("span", { className: "prefix", textContent: "config." }), k, v);
  row.append(el("button", {
    type: "button", className: "quiet", textContent: "✕", title: "Remove", "aria-label": "Remove the key",
    onclick: () => { row.remove(); $("config-add").focus(); summary(); changed(); },
  }));
  $("config-rows").append(row);
  return k;
}

const isFixed = (key) => rows.some((r) => r.fixed && (key === r.name || r.prefix && key.startsWith(r.name)));

// set shows options. Those that can't be changed here are shown if they are the server's own; how many there were is
// returned.
export function set(options, own = false) {
  for (const [name, input] of fields) if (own || !isFixed(name)) input.value = "";
  $("config-rows").replaceChildren();
  let ignored = 0;
  const texts = new Map();
  for (const { key: raw, value } of options) {
    const key = raw.toLowerCase();
    if (isFixed(key) && !own) ignored++;
    else if (key.startsWith(configPrefix)) addPair(raw.slice(configPrefix.length), value);
    else {
      const r = rows.find((r) => r.name === key || r.prefix && key.startsWith(r.name));
      if (r) texts.set(r.name, [...(texts.get(r.name) ?? []), r.prefix ? `${key.slice(r.name.length)}=${value}` : value]);
    }
  }
  for (const [name, values] of texts) {
    const input = fields.get(name), text = values.join("\n");
    if (input.tagName === "SELECT" && ![...input.options].some((o) => o.value === text)) {
      input.append(el("option", { value: text, textContent: text })); // the filter says what it thinks of it
    }
    input.value = text;
  }
  summary();
  return ignored;
}

// get is what the user has set: neither what is empty, nor what can't be changed here.
export function get() {
  const options = [];
  for (const row of $("config-rows").children) {
    const key = row.querySelector(".pair-key").value.trim();
    if (key) options.push({ key: configPrefix + key, value: row.querySelector(".pair-value").value });
  }
  for (const r of rows) {
    const input = fields.get(r.name);
    if (!input || r.fixed || input.value === "") continue;
    for (const value of r.multiple ? input.value.split("\n").filter((l) => l) : [input.value]) options.push({ key: r.name, value });
  }
  return options;
}

function summary() {
  const n = get().length;
  $("options-set").textContent = n ? `${plural(n, "option")} set` : "";
}

export const run = () => ({ tag: tag.value.trim(), logLevel: level.value, quick: quick.value !== "" });

export function setRun(s) {
  tag.value = s.tag;
  if ([...level.options].some((o) => o.value === s.logLevel)) level.value = s.logLevel;
  if (s.quick !== undefined) quick.value = s.quick ? "1" : "";
}

// offer names the functions that the module has.
export function offer(names) {
  functions.replaceChildren(...names.map((n) => el("option", { value: n })));
}

// blame marks the option that is wrong, if there is a field for it.
export function blame(problem) {
  for (const [name, input] of fields) {
    const wrong = problem?.option === name;
    input.toggleAttribute("aria-invalid", false);
    input.removeAttribute("aria-invalid");
    const id = `error-${input.id}`;
    $(id).textContent = wrong ? problem.text : "";
    const described = `help-${input.id}`;
    input.setAttribute("aria-describedby", wrong ? `${described} ${id}` : described);
    if (!wrong) continue;
    input.setAttribute("aria-invalid", "true");
    $("configuration").open = true;
    if (!first.includes(name)) $("more").open = true;
  }
}

import { $ } from "./dom.js";
import * as editor from "./editor.js";
import * as form from "./form.js";
import * as results from "./results.js";
import * as share from "./share.js";

const typingPause = 350; // ms without a key before records run by themselves
const longLink = 8000; // characters, beyond which some programs cut a link
const stored = "flb-wasmtime play";

let token = "", server, module, ran = "", running, pause;

// takeToken takes the token out of the address, so that a copy of that gives nothing away.
function takeToken() {
  const hash = new URLSearchParams(location.hash.slice(1));
  token = hash.get("token") ?? "";
  for (const storage of [sessionStorage, localStorage]) {
    try {
      if (token) storage.setItem("token", token);
      else token = storage.getItem("token") ?? "";
    } catch { /* it may be forbidden: the token is in the address then, once */ }
  }
  if (hash.has("token")) {
    hash.delete("token");
    history.replaceState(null, "", location.pathname + (hash.size ? `#${hash}` : ""));
  }
}

async function api(path, body, signal) {
  const options = { headers: { "X-Token": token }, signal };
  if (body) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

function banner(text) {
  $("banner").hidden = !text;
  $("banner-text").textContent = text ?? "";
}

function status(text) { $("status").textContent = text; }

const state = () => ({
  play: share.version, module: { name: module.name, sha256: module.sha256 ?? "" },
  input: editor.text(), format: $("format").value, ...form.run(), options: form.get(),
});

// use shows a state that a link, a file or this page before it was loaded again has.
function use(s, fromOthers) {
  editor.setText(s.input);
  $("format").value = s.format;
  form.setRun(s);
  const ignored = form.set(s.options);
  if (!fromOthers) return;
  const said = [];
  if (s.module.sha256 !== module.sha256) {
    said.push(`This was made with another module: ${s.module.name} (SHA-256 ${s.module.sha256.slice(0, 12)}…), and this is ${module.name} (${(module.sha256 ?? "").slice(0, 12)}…). What comes out may be another.`);
  }
  if (ignored) said.push(`${ignored} of its options name files and are left out: give them to flb-wasmtime play.`);
  banner(said.join(" "));
}

async function run() {
  clearTimeout(pause);
  running?.abort();
  const mine = running = new AbortController();
  const input = editor.text();
  document.body.classList.add("running");
  const late = setTimeout(() => status("Running: the module may have to be compiled …"), 300);
  try {
    const result = await api("api/run", { input, text: $("format").value === "text", ...form.run(), options: form.get() }, mine.signal);
    if (mine !== running) return;
    showModule(result.module);
    ran = result.module.sha256;
    results.show(result);
    form.offer(result.module.functions ?? []);
    form.blame(result.problem);
    if (input === editor.text()) editor.mark(new Map(result.records.map((r) => [r.line, r.status])));
    clearTimeout(late);
    status(results.summary(result));
  } catch (e) {
    if (mine !== running || e.name === "AbortError") return;
    clearTimeout(late);
    status(`It was not run: ${e.message}`);
    banner(`It was not run: ${e.message}`);
  } finally {
    clearTimeout(late);
    if (mine === running) {
      running = undefined;
      document.body.classList.remove("running");
    }
  }
}

// changed is called when the user has changed something.
function changed() {
  clearTimeout(pause);
  try {
    const text = JSON.stringify(state());
    if (text.length < 1 << 20) sessionStorage.setItem(stored, text);
  } catch { /* what is lost is lost when the page is loaded again */ }
  if ($("auto").checked) pause = setTimeout(run, typingPause);
}

function showModule(m) {
  module = m;
  $("module-name").textContent = m.name;
  $("module-sum").textContent = (m.sha256 ?? "").slice(0, 8);
  $("module").title = `${m.path}${m.sha256 ? `\nSHA-256 ${m.sha256}` : ""}`;
  const size = m.bytes ? (m.bytes < 1e6 ? `${(m.bytes / 1e3).toFixed(1)} kB` : `${(m.bytes / 1e6).toFixed(1)} MB`) : "";
  $("module-note").textContent = m.sha256 ? [size, m.function].filter(Boolean).join(", ") : "can't be read";
}

function listen() {
  const events = new EventSource(`api/events?token=${encodeURIComponent(token)}`);
  const connected = (yes) => {
    $("connection").textContent = yes ? "" : "flb-wasmtime play does not answer: has it ended?";
    document.body.classList.toggle("lost", !yes);
  };
  events.onopen = () => connected(true);
  events.onerror = () => connected(false);
  events.addEventListener("module", (e) => {
    const m = JSON.parse(e.data);
    if (m.sha256 === module.sha256 && (!ran || m.sha256 === ran)) return;
    showModule({ ...m, function: module.function });
    if (!ran) return;
    if ($("auto").checked) run();
    else status(`${m.name} has changed: run again`);
  });
  events.addEventListener("received", (e) => showReceived(JSON.parse(e.data)));
}

function showReceived(r) {
  if (!server.forward) return;
  $("receive").textContent = `Fluent Bit: ${r.kept.toLocaleString("en")}`;
  $("receive").title = `${r.total} records have come to ${server.forward}; take the last ${r.kept}`;
  $("receive").setAttribute("aria-label", `Take the last ${r.kept} records that a Fluent Bit has sent`);
  $("receive").disabled = r.kept === 0;
  if (r.problem) banner(r.problem);
}

async function openRecords(file) {
  if (!file) return;
  if (file.size > server.maxInputBytes) {
    banner(`${file.name} has ${file.size} bytes, and a run takes ${server.maxInputBytes}: give less.`);
    return;
  }
  editor.setText(await file.text());
  status(`${file.name} is open`);
  changed();
}

function startFiles() {
  $("open").onclick = () => $("file").click();
  $("file").onchange = () => { openRecords($("file").files[0]); $("file").value = ""; };
  const target = $("editor");
  for (const name of ["dragenter", "dragover"]) target.addEventListener(name, (e) => { e.preventDefault(); target.classList.add("drop"); });
  for (const name of ["dragleave", "drop"]) target.addEventListener(name, () => target.classList.remove("drop"));
  target.addEventListener("drop", (e) => {
    e.preventDefault();
    const file = e.dataTransfer.files[0];
    if (file) openRecords(file);
    else { editor.setText(e.dataTransfer.getData("text/plain")); changed(); }
  });
  $("receive").hidden = !server.forward;
  $("receive").onclick = async () => {
    const r = await api("api/received").catch((e) => banner(e.message));
    if (!r) return;
    $("format").value = "json";
    editor.setText(r.lines ?? "");
    changed();
  };
}

function startShare() {
  const dialog = $("dialog");
  const attempt = async (f) => {
    $("dialog-error").textContent = "";
    try { await f(); } catch (e) { $("dialog-error").textContent = e.message; }
  };
  const take = (s) => { use(s, true); dialog.close(); changed(); run(); };
  $("share").onclick = async () => {
    $("dialog-error").textContent = $("paste").value = "";
    $("copy").textContent = "Copy";
    const link = await share.toLink(state());
    $("link").value = link;
    $("link-note").textContent = link.length > longLink ? `It has ${link.length.toLocaleString("en")} characters, which some programs cut: a file may be better.` : "";
    dialog.showModal();
    $("link").select();
  };
  $("copy").onclick = () => attempt(async () => { await navigator.clipboard.writeText($("link").value); $("copy").textContent = "Copied"; });
  $("download").onclick = () => {
    const a = document.createElement("a");
    a.href = URL.createObjectURL(new Blob([JSON.stringify(state(), null, 1)], { type: "application/json" }));
    a.download = `${module.name.replace(/\.[^.]*$/, "")}.play.json`;
    a.click();
    URL.revokeObjectURL(a.href);
  };
  $("paste-open").onclick = () => attempt(async () => take(await share.fromLink($("paste").value.trim())));
  $("upload").onclick = () => $("upload-file").click();
  $("upload-file").onchange = () => attempt(async () => {
    const file = $("upload-file").files[0];
    $("upload-file").value = "";
    if (file.size > 2 * server.maxInputBytes) throw new Error("the file is too large");
    take(share.check(await file.text()));
  });
  $("dialog-close").onclick = () => dialog.close();
}

function startTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    $("theme").setAttribute("aria-pressed", theme === "dark");
  };
  const now = () => chosen() ?? (dark.matches ? "dark" : "light");
  show(now());
  dark.addEventListener("change", () => show(now()));
  $("theme").onclick = () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", next); } catch { /* it lasts as long as the page */ }
    show(next);
  };
}

function startSplitter() {
  const splitter = $("splitter"), main = document.querySelector("main");
  const set = (percent) => {
    percent = Math.round(Math.min(80, Math.max(20, percent)));
    main.style.setProperty("--left", `${percent}%`);
    splitter.setAttribute("aria-valuenow", percent);
  };
  splitter.addEventListener("pointerdown", (e) => { splitter.setPointerCapture(e.pointerId); e.preventDefault(); splitter.focus(); });
  splitter.addEventListener("pointermove", (e) => {
    if (!splitter.hasPointerCapture(e.pointerId)) return;
    const box = main.getBoundingClientRect();
    set((100 * (e.clientX - box.left)) / box.width);
  });
  splitter.addEventListener("keydown", (e) => {
    const now = Number(splitter.getAttribute("aria-valuenow"));
    const to = { ArrowLeft: now - 5, ArrowRight: now + 5, Home: 20, End: 80 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    set(to);
  });
}

async function fromAddress() {
  if (!new URLSearchParams(location.hash.slice(1)).has("play")) return false;
  try {
    use(await share.fromLink(location.hash), true);
    history.replaceState(null, "", location.pathname);
    return true;
  } catch (e) {
    banner(`The link can't be opened: ${e.message}.`);
    return false;
  }
}

async function start() {
  startTheme();
  startSplitter();
  $("banner-close").onclick = () => banner();
  takeToken();
  try {
    server = await api("api/state");
  } catch (e) {
    banner(`${token ? e.message : "This page needs a token: open the address that flb-wasmtime play has printed."} If you came by a link to a state, open the address first, and the link after it in the same browser.`);
    status("Not connected");
    return;
  }
  showModule(server.module);
  document.title = `${server.module.name} – flb-wasmtime play`;
  editor.start(changed);
  form.start(server, changed);
  results.start(editor.show);
  startFiles();
  startShare();
  $("format").onchange = changed;
  $("run").onclick = run;
  $("auto").onchange = changed;
  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && !$("dialog").open) { e.preventDefault(); run(); }
  });
  addEventListener("hashchange", async () => { if (await fromAddress()) run(); });

  editor.setText(server.input);
  if (!await fromAddress()) {
    try {
      const s = share.check(sessionStorage.getItem(stored) ?? "");
      if (s.module.name === module.name) use(s, false);
    } catch { /* there is none */ }
  }
  listen();
  await run();
}

start();

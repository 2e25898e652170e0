package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const showcase = "../../examples/showcase-rust/"

func serveShowcase(t *testing.T, args ...string) *served {
	return serve(t, append([]string{showcase + "showcase.wasm", showcase + "input.ndjson", "--set", "environment=production",
		"--set", "geo_path=country", "--table", "geo=" + showcase + "geo.csv", "--store-limit", "16M"}, args...)...)
}

// cards are the words of the records' cards: what became of each.
const cards = `[...document.querySelectorAll(".record .name")].map(e => e.textContent).join()`

// What the showcase is expected to make is what the page says that comes out.
func TestShowcase(t *testing.T) {
	s := serveShowcase(t)
	p := open(t, s.url, 1280, 800)
	p.status("7 records: 6 changed, 1 dropped, 2 added")
	if got := eval[string](p, cards); got != "changed,dropped,changed,changed,changed,changed,changed" {
		t.Errorf("the records are %s", got)
	}
	if address := eval[string](p, `location.href`); strings.Contains(address, "token") {
		t.Errorf("the token is still in the address: %s", address)
	}
	want, err := os.ReadFile(showcase + "expected.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	out := eval[string](p, `document.querySelector("#panel-output pre").textContent`)
	var wanted, got []any
	for text, list := range map[string]*[]any{string(want): &wanted, out: &got} {
		for line := range strings.Lines(text) {
			var v any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			*list = append(*list, v)
		}
	}
	a, _ := json.MarshalIndent(wanted, "", " ")
	b, _ := json.MarshalIndent(got, "", " ")
	if string(a) != string(b) {
		t.Errorf("the output is\n%s\nand not\n%s", b, a)
	}
	// The first record, as lines with their signs.
	diff := eval[string](p, `[...document.querySelector(".diff").children].filter(l => l.matches(".is, .was")).map(l => l.querySelector(".sign").textContent + l.lastChild.textContent.trim() + l.textContent.replace(/.*(added|removed): */, "").trim()).join("\n")`)
	for _, l := range []string{`−"msg": "bob@example.com logged in",`, `+"msg": "*** logged in",`, `+"country": "DE",`, `+"count": 1`} {
		if !strings.Contains(diff, l) {
			t.Errorf("the difference has no %s in\n%s", l, diff)
		}
	}
	if m := eval[string](p, `document.querySelector("#panel-metrics").textContent`); !strings.Contains(m, "masked_total") {
		t.Errorf("the metrics are %q", m)
	}
	if n := eval[int](p, `[...document.querySelectorAll("#panel-time tbody .n")].reduce((n, e) => n + Number(e.textContent), 0)`); n != 7 {
		t.Errorf("the histogram has %d records", n)
	}
}

// Paste, edit, an option that is wrong, one that is right, and a module that is replaced while the page is open.
func TestEditAndReload(t *testing.T) {
	module := filepath.Join(t.TempDir(), "guest.wat")
	write(t, module, guest(t, "identity"))
	s := serve(t, module)
	p := open(t, s.url, 1280, 800)
	p.status("8 records: 8 unchanged")

	p.paste(`{"a":1}` + "\n" + `{"b":[true,null],"trap":true}` + "\nno record")
	p.status("3 records: 2 unchanged, 1 failed")
	if got := eval[string](p, cards); got != "unchanged,unchanged,unreadable" {
		t.Errorf("the records are %s", got)
	}

	// The state of the page stays, and the records run again.
	eval[bool](p, `window.same = true`)
	replace(t, module, guest(t, "trap_when_told"))
	p.status("3 records: 1 unchanged, 2 failed")
	if !eval[bool](p, `window.same === true && document.getElementById("input").value.startsWith('{"a":1}')`) {
		t.Error("the page was loaded again")
	}
	trace := eval[string](p, `document.querySelector(".record.failed .trace").textContent`)
	if !strings.Contains(trace, "wasm function 0") {
		t.Errorf("the backtrace is %q", trace)
	}
	if why := eval[string](p, `document.querySelector(".record.failed .reason").textContent`); !strings.Contains(why, "unreachable") {
		t.Errorf("the reason is %q", why)
	}
	if log := eval[string](p, `document.querySelector("#panel-log").textContent`); !strings.Contains(log, "unreachable") {
		t.Errorf("the log is %q", log)
	}

	// A module that is none, and one again.
	replace(t, module, "(module")
	p.status("The filter does not start")
	replace(t, module, guest(t, "drop"))
	p.status("3 records: 2 dropped, 1 failed")

	// An option that is wrong is said at its field, in the filter's words.
	p.fill("#option-timeout", "sooner")
	p.status(`option timeout: invalid value`)
	if !eval[bool](p, `document.getElementById("option-timeout").getAttribute("aria-invalid") === "true"`) {
		t.Error("the field is not marked")
	}
	p.fill("#option-timeout", "2s")
	p.status("3 records: 2 dropped, 1 failed")
	if eval[bool](p, `document.getElementById("option-timeout").hasAttribute("aria-invalid")`) {
		t.Error("the field is still marked")
	}

	// The process ends, and the page says so.
	s.stop(t)
	p.wait(`document.getElementById("connection").textContent.includes("does not answer")`)
}

// What goes under another tag is shown with it, and in the output as lines that a case takes.
func TestEmitted(t *testing.T) {
	s := serve(t, "../guests/routes.wat", "--emit-tags", "x.*", "--tag", "app")
	p := open(t, s.url, 1280, 800)
	p.status("8 records")
	p.paste(`{"a":1}` + "\n" + `{"to":"x.y","n":2}` + "\n" + `{"to":"x.z","n":1}`)
	p.status("3 records: 1 changed, 1 unchanged, 1 routed, 2 emitted")
	if got := eval[string](p, cards); got != "unchanged,routed,changed" {
		t.Errorf("the records are %s", got)
	}
	if got := eval[string](p, `document.querySelector(".record.routed .about").textContent + ": " + document.querySelector(".record.routed h3").textContent`); got != "under x.y: emitted under x.y" {
		t.Errorf("it says %q", got)
	}
	p.do(chromedp.Click(chromedp.CSS(".chip.emitted")))
	if got := eval[string](p, cards); got != "routed,changed" {
		t.Errorf("the records are %s", got)
	}
	want := `{"a":1}` + "\n" + `["tag","x.y"]` + "\n" + `{"to":"x.y","n":2}` + "\n" + `["tag","app"]` + "\n" + `{"to":"x.z","n":1}` + "\n" + `["tag","x.z"]` + "\n" + `{"to":"x.z","n":1}` + "\n"
	if got := eval[string](p, `document.querySelector("#panel-output pre").textContent`); got != want {
		t.Errorf("the output is %q, want %q", got, want)
	}

	s = serve(t, "../guests/folds.wat", "--emit-tags", "counts")
	p = open(t, s.url, 1280, 800)
	p.status("8 records")
	p.paste(`{"a":1}` + "\n" + `["tick"]` + "\n" + `{"a":2}`)
	p.status("2 records: 2 dropped, 2 emitted")
	if got := eval[string](p, `[...document.querySelectorAll(".record.tick .head")].map(e => e.textContent.replace(/[\d.]+ .s/, "")).join()`); got != "◷tick under countsline 2,◷tick under countsat the end" {
		t.Errorf("the ticks are %s", got)
	}
}

// A link leads another browser to the same state, and says when the module is another one.
func TestShare(t *testing.T) {
	s := serve(t, "../guests/identity.wat")
	p := open(t, s.url, 1280, 800)
	p.status("8 records")
	p.paste(`{"shared":"ü"}`)
	p.status("1 record: 1 unchanged")
	p.do(chromedp.Click(chromedp.CSS("#config-add")), chromedp.SendKeys(chromedp.CSS(".pair-key"), "mode"), chromedp.SendKeys(chromedp.CSS(".pair-value"), "strict"))
	p.do(chromedp.Click(chromedp.CSS("#share")))
	p.wait(`document.getElementById("link").value.includes("#play=")`)
	link := eval[string](p, `document.getElementById("link").value`)
	if strings.Contains(link, "token") || !strings.HasPrefix(link, s.origin()+"/#play=") {
		t.Errorf("the link is %s", link)
	}

	isThere := `document.getElementById("input").value === '{"shared":"ü"}' && document.querySelector(".pair-key").value === "mode" && document.querySelector(".pair-value").value === "strict"`
	// Whoever has opened the page before can open the link: here in a browser that has never been there.
	q := open(t, link, 1280, 800)
	q.wait(`!document.getElementById("banner").hidden`)
	if !strings.Contains(eval[string](q, `document.getElementById("banner").textContent`), "needs a token") {
		t.Errorf("a page without the token: %s", q.state())
	}
	q.do(chromedp.Navigate("about:blank"), chromedp.Navigate(s.url))
	q.status("8 records")
	q.do(chromedp.Navigate("about:blank"), chromedp.Navigate(link))
	q.status("1 record: 1 unchanged")
	q.wait(isThere)
	if !eval[bool](q, `document.getElementById("banner").hidden`) {
		t.Errorf("the module is the same: %s", q.state())
	}

	// Pasted into the page of another module.
	other := serve(t, "../guests/drop.wat")
	r := open(t, other.url, 1280, 800)
	r.status("8 records: 8 dropped")
	r.do(chromedp.Click(chromedp.CSS("#share")))
	r.wait(`document.getElementById("dialog").open && document.getElementById("link").value`)
	r.fill("#paste", "http://127.0.0.1:1/#play=AAAA")
	r.do(chromedp.Click(chromedp.CSS("#paste-open")))
	r.wait(`document.getElementById("dialog-error").textContent.includes("damaged")`)
	r.fill("#paste", link)
	r.do(chromedp.Click(chromedp.CSS("#paste-open")))
	r.status("1 record: 1 dropped")
	r.wait(isThere)
	if text := eval[string](r, `document.getElementById("banner").textContent`); !strings.Contains(text, "identity.wat") || !strings.Contains(text, "drop.wat") {
		t.Errorf("the banner is %q", text)
	}

	// As a file.
	file := filepath.Join(t.TempDir(), "state.json")
	write(t, file, `{"play":1,"module":{"name":"m","sha256":"0"},"input":"{\"from\":\"a file\"}","format":"json","tag":"x","logLevel":"info","options":[{"key":"cache_dir","value":"/"}]}`)
	r.do(chromedp.SetUploadFiles(chromedp.CSS("#upload-file"), []string{file}))
	r.wait(`document.getElementById("input").value === '{"from":"a file"}' && document.getElementById("option-tag").value === "x"`)
	if text := eval[string](r, `document.getElementById("banner").textContent`); !strings.Contains(text, "1 of its options name files") {
		t.Errorf("the banner is %q", text)
	}
}

// What modules say and records hold is text: it can't become markup, and neither can it hang the page.
func TestHostileText(t *testing.T) {
	s := serve(t, "../guests/wasi_print.wat")
	p := open(t, s.url, 1280, 800)
	p.status("8 records")
	evil := `<img src=x onerror=window.pwned=1><script>window.pwned=1</script>`
	long := strings.Repeat("y", 1<<20)
	p.fill("#input", `{"`+evil+`":"`+evil+`"}`+"\n"+`{"long":"`+long+`"}`+"\n"+strings.Repeat(`{"n":1}`+"\n", 3000))
	p.status("3,002 records")
	if !eval[bool](p, `window.pwned === undefined && document.querySelectorAll("main img, main script").length === 0`) {
		t.Error("markup of a record was taken for the page's")
	}
	if n := eval[int](p, `document.querySelectorAll(".record").length`); n > 100 {
		t.Errorf("%d records are made at once", n)
	}
	if n := eval[int](p, `document.querySelector("#panel-records").textContent.length`); n > 300_000 {
		t.Errorf("the records have %d characters", n)
	}
	p.do(chromedp.Click(chromedp.CSS("#panel-records > button")))
	p.wait(`document.querySelectorAll(".record").length === 200`)
}

// All can be done by keys alone.
func TestKeyboard(t *testing.T) {
	s := serve(t, "../guests/identity.wat")
	p := open(t, s.url, 1280, 800)
	p.status("8 records")
	press := func(keys string, options ...chromedp.KeyOption) { p.do(chromedp.KeyEvent(keys, options...)) }
	focused := func() string {
		return eval[string](p, `document.activeElement.id || document.activeElement.className || document.activeElement.tagName`)
	}

	press(kb.Tab) // the first is the link that skips to the records
	if got := eval[string](p, `document.activeElement.textContent`); got != "Skip to the records" || !eval[bool](p, `document.activeElement.getBoundingClientRect().top >= 0`) {
		t.Errorf("the first stop is %q", got)
	}
	press(kb.Enter)
	p.wait(`document.activeElement.id === "input"`)
	if eval[string](p, `getComputedStyle(document.activeElement).outlineStyle`) == "none" {
		t.Error("the focus can't be seen")
	}
	// Without running on change, Ctrl+Enter runs; Tab leaves the editor.
	p.do(chromedp.Evaluate[chromedp.Void](`void (document.getElementById("auto").checked = false)`))
	press("a", chromedp.KeyModifiers(ctrl))
	press(`{"typed":1}`)
	press(kb.Enter, chromedp.KeyModifiers(ctrl))
	p.status("1 record: 1 unchanged")

	// Every stop of Tab is seen, each once, and the way ends.
	var stops []string
	for range 60 {
		press(kb.Tab)
		at := focused()
		if !eval[bool](p, `(() => { const e = document.activeElement; if (e === document.body) return true; const s = getComputedStyle(e), b = e.getBoundingClientRect(); return s.outlineStyle !== "none" && b.width > 0 && b.height > 0; })()`) {
			t.Errorf("the focus can't be seen on %s", at)
		}
		if eval[bool](p, `document.activeElement === document.body`) {
			break
		}
		stops = append(stops, at)
	}
	for _, want := range []string{"splitter", "tab-records", "option-on_error"} {
		if !slices.Contains(stops, want) {
			t.Errorf("Tab does not stop at %s: %q", want, stops)
		}
	}

	p.do(chromedp.Focus(chromedp.CSS("#tab-records")))
	for _, want := range []string{"tab-output", "tab-log", "tab-metrics", "tab-time", "tab-records"} {
		press(kb.ArrowRight)
		if got := focused(); got != want || eval[bool](p, `document.getElementById(document.activeElement.getAttribute("aria-controls")).hidden`) {
			t.Errorf("an arrow leads to %s, and not to %s", got, want)
		}
	}
	p.do(chromedp.Focus(chromedp.CSS("#splitter")))
	before := eval[float64](p, `document.getElementById("left").getBoundingClientRect().width`)
	press(kb.ArrowRight)
	if now := eval[float64](p, `document.getElementById("left").getBoundingClientRect().width`); now <= before {
		t.Errorf("the input was %v wide, and is %v", before, now)
	}
	p.do(chromedp.Focus(chromedp.CSS(".toggle")))
	press(kb.Enter)
	p.wait(`document.querySelector(".toggle").getAttribute("aria-expanded") === "true" && document.querySelector(".record .diff")`)
	press(kb.Tab)
	press(kb.Enter)
	p.wait(`document.activeElement.id === "input" && document.getElementById("input").selectionEnd === 11`)
	// A dialog keeps the focus, and Escape closes it.
	p.do(chromedp.Focus(chromedp.CSS("#share")))
	press(kb.Enter)
	p.wait(`document.getElementById("dialog").open`)
	press(kb.Escape)
	p.wait(`!document.getElementById("dialog").open && document.activeElement.id === "share"`)
}

const ctrl = 2 // of the DevTools protocol's modifiers

// What a screen reader gets: landmarks, and a name for each thing that can be used.
func TestAccessibilityTree(t *testing.T) {
	s := serveShowcase(t)
	p := open(t, s.url, 1280, 800)
	p.status("7 records")
	call(p, accessibility.Enable, cdp.Empty{})
	tree := call(p, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	text := func(v *accessibility.Value) string {
		if v == nil {
			return ""
		}
		var s string
		_ = json.Unmarshal(v.Value, &s)
		return s
	}
	found := map[string]bool{}
	used := []string{"button", "textbox", "combobox", "checkbox", "tab", "separator", "link", "listbox", "slider"}
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		role, name := text(n.Role), text(n.Name)
		found[role] = true
		found[role+" "+name] = true
		if slices.Contains(used, role) && name == "" {
			t.Errorf("a %s has no name", role)
		}
	}
	for _, want := range []string{"banner", "main", "contentinfo", "region Input", "region Results", "status", "tablist Results", "tabpanel Records 7",
		"textbox Records", "checkbox Run on change", "separator Width of the input", "button Dark theme", "combobox on_error", "textbox timeout", "heading Records", "list What became of the records"} {
		if !found[want] {
			t.Errorf("there is no %s", want)
		}
	}
	// What a colour says a word says, too.
	if !eval[bool](p, `[...document.querySelectorAll(".record")].every(r => r.querySelector(".name").textContent) && [...document.querySelectorAll(".diff .is, .diff .was")].every(l => /[+−]/.test(l.querySelector(".sign").textContent) && l.querySelector(".vh"))`) {
		t.Error("a difference is told by its colour alone")
	}
}

// contrasts are ratios of text to what is behind it, of everything that is seen (WCAG 2.2, 1.4.3).
const contrasts = `(() => {
  const rgba = (s) => { const c = document.createElement("canvas").getContext("2d"); c.fillStyle = s; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const low = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || e.closest(":disabled, textarea, option, script")) continue;
    let back = e, b = [0, 0, 0, 0];
    for (; back && b[3] === 0; back = back.parentElement) b = rgba(getComputedStyle(back).backgroundColor);
    const [x, y] = [light(rgba(getComputedStyle(e).color)), light(b)].sort((p, q) => q - p);
    const ratio = (x + 0.05) / (y + 0.05);
    if (ratio < 4.5) low.add(e.className + " " + e.tagName + " " + e.textContent.slice(0, 20) + ": " + ratio.toFixed(2));
  }
  return [...low].join("; ");
})()`

// Dark and light follow the system, until the switch says otherwise; text can be read in both, at each width.
func TestThemeAndWidth(t *testing.T) {
	s := serveShowcase(t)
	for _, width := range []int{1280, 800} {
		p := open(t, s.url, width, 800)
		p.status("7 records")
		for _, theme := range []string{"dark", "light"} {
			call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
			p.wait(fmt.Sprintf(`document.documentElement.dataset.theme === %q`, theme))
			if low := eval[string](p, contrasts); low != "" {
				t.Errorf("%d px, %s: too little contrast: %s", width, theme, low)
			}
		}
		if !eval[bool](p, `document.documentElement.scrollWidth <= innerWidth`) {
			t.Errorf("%d px: the page is wider than the window", width)
		}
		if width == 800 && !eval[bool](p, `document.getElementById("results").getBoundingClientRect().top > document.getElementById("left").getBoundingClientRect().top + 100`) {
			t.Error("800 px: the panes are not one above the other")
		}
		p.do(chromedp.Click(chromedp.CSS("#theme")))
		if got := eval[string](p, `document.documentElement.dataset.theme + document.getElementById("theme").getAttribute("aria-pressed")`); got != "darktrue" {
			t.Errorf("after the switch it is %s", got)
		}
		p.do(chromedp.Reload())
		p.status("7 records")
		if got := eval[string](p, `document.documentElement.dataset.theme`); got != "dark" {
			t.Errorf("loaded again it is %s", got)
		}
	}
}

// A page of another origin learns nothing and does nothing, whatever it knows.
func TestOtherOrigin(t *testing.T) {
	s := serve(t, "../guests/identity.wat")
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>evil</title>")
	}))
	t.Cleanup(evil.Close)
	p := open(t, evil.URL, 800, 600)
	p.mayAsk = s.origin()
	token := s.url[strings.Index(s.url, "=")+1:]
	ask := `(async () => {
  const out = [];
  for (const [path, options] of [["/", {}], ["/play.js", {}], ["/api/state?token=%[2]s", {}], ["/api/state", {headers: {"X-Token": "%[2]s"}}], ["/api/run?token=%[2]s", {method: "POST", body: '{"logLevel":"info"}'}]])
    out.push(await fetch("%[1]s" + path, options).then((r) => "answered " + path, () => ""));
  out.push(await fetch("%[1]s/api/run?token=%[2]s", {method: "POST", mode: "no-cors", body: "{}"}).then((r) => r.type === "opaque" ? "" : "answered", () => ""));
  out.push(await new Promise((done) => { const e = new EventSource("%[1]s/api/events?token=%[2]s"); e.onopen = () => done("listens"); e.onerror = () => { e.close(); done(""); }; }));
  out.push(await new Promise((done) => { const f = document.createElement("iframe"); f.src = "%[1]s/"; f.onload = () => { let seen = ""; try { seen = f.contentDocument ? f.contentDocument.title : ""; } catch { } done(seen); }; document.body.append(f); }));
  return out.join("");
})()`
	if got := run(p, chromedp.Evaluate[string](fmt.Sprintf(ask, s.origin(), token), chromedp.EvalAwaitPromise)); got != "" {
		t.Errorf("another origin: %s", got)
	}
}

// pictured are records that the recipe tenants sends on under their tenants' tags, and some that it fails on.
const pictured = `{"log":"GET /cart 200","kubernetes":{"pod_name":"shop-7d4f","labels":{"tenant":"acme"}}}
{"log":"GET /cart 200","kubernetes":{"pod_name":"tool-0","labels":{"app":"cron"}}}
{"log":"POST /pay 503","kubernetes":{"pod_name":"pay-58c9","labels":{"tenant":"umbrella"}}}
{"log":"GET / 200","kubernetes":{"pod_name":"web-1","labels":{"tenant":"../x"}}}
`

// The picture of the documents. It is written, once make has built examples/recipes, by: go test -run Picture -update
func TestPicture(t *testing.T) {
	if !*update {
		t.Skip("-update writes docs/play.png")
	}
	const module = "../../examples/recipes/tenants/tenants.wasm"
	if _, err := os.Stat(module); err != nil {
		t.Fatalf("%v: run make -C examples/recipes", err)
	}
	input := filepath.Join(t.TempDir(), "records.ndjson")
	if err := os.WriteFile(input, []byte(pictured), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, module, input, "--tag", "kube.app", "--emit-tags", "tenant.*", "--on-error", "route:dead.$TAG", "--mark-key", "failed")
	p := open(t, s.url, 1280, 800)
	p.status("4 records")
	png := run(p, chromedp.CaptureScreenshot())
	if len(png) > 200_000 {
		t.Errorf("the picture has %d bytes", len(png))
	}
	if err := os.WriteFile("../../docs/play.png", png, 0o666); err != nil {
		t.Fatal(err)
	}
}

// Package browser drives the page of flb-wasmtime play in a real Chromium: the chromium on PATH, or the one that
// CHROMIUM names. It is a module of its own, so that nothing of a browser is among what the project is built of.
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "write docs/play.png")

const (
	command = "../../build/flb-wasmtime"
	patient = 30 * time.Second // for what should take a moment
)

// chromium is the browser; without one the test is skipped, loudly.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CHROMIUM_REQUIRED") != "" {
		t.Fatal("there is no chromium, and CHROMIUM_REQUIRED is set")
	}
	t.Skip("NOT TESTED: the page of flb-wasmtime play, for want of chromium (apt-get install chromium, or set CHROMIUM)")
	return ""
}

// served is a flb-wasmtime play.
type served struct {
	url     string
	process *exec.Cmd
	done    chan error
}

// serve starts flb-wasmtime play with these arguments.
func serve(t *testing.T, args ...string) *served {
	t.Helper()
	chromium(t)
	if _, err := os.Stat(command); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	s := &served{process: exec.Command(command, append([]string{"play", "--listen", "127.0.0.1:0"}, args...)...), done: make(chan error, 1)}
	s.process.Stderr = os.Stderr
	out, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("no URL: %v", err)
	}
	s.url = strings.TrimSpace(first)
	go func() { s.done <- s.process.Wait() }()
	t.Cleanup(func() { s.stop(t) })
	return s
}

// stop ends it as Ctrl-C does; it must end well.
func (s *served) stop(t *testing.T) {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(syscall.SIGINT)
	select {
	case err := <-s.done:
		if err != nil {
			t.Errorf("flb-wasmtime play ended with %v", err)
		}
	case <-time.After(patient):
		_ = s.process.Process.Kill()
		t.Error("flb-wasmtime play did not end after SIGINT")
	}
	s.process = nil
}

// origin is the URL without what follows the address.
func (s *served) origin() string { return s.url[:strings.Index(s.url, "/#")] }

// page is a tab of the browser.
type page struct {
	t   *testing.T
	ctx context.Context

	mayAsk string // a further origin that may be asked

	mu       sync.Mutex
	requests []string
	complain []string
}

var (
	browser      context.Context // the one browser of all tests, once there is one
	closeBrowser = func() {}
)

func TestMain(m *testing.M) {
	code := m.Run()
	closeBrowser()
	os.Exit(code)
}

// open opens a URL in a window of that size, which shares no storage with others, and looks at what it asks for.
func open(t *testing.T, address string, width, height int) *page {
	t.Helper()
	if browser == nil {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox,
			chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("disable-dev-shm-usage", true))
		allocated, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, cancel := chromedp.NewContext(allocated)
		if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
			t.Fatal(err)
		}
		browser, closeBrowser = ctx, func() { cancel(); cancelAllocator() }
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &page{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, func(event any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			p.requests = append(p.requests, e.Request.URL)
		case *runtime.EventExceptionThrown:
			p.complain = append(p.complain, exception(e.ExceptionDetails))
		case *runtime.EventConsoleAPICalled:
			if e.Type == "error" {
				for _, a := range e.Args {
					p.complain = append(p.complain, string(a.Value))
				}
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	call(p, network.Enable, network.EnableParams{})
	p.do(chromedp.EmulateViewport(int64(width), int64(height)), chromedp.Navigate(address))
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.complain {
			t.Errorf("the page complains: %s", c)
		}
		host, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.requests {
			if u, err := url.Parse(r); err != nil || u.Host != host.Host && u.Scheme != "blob" && u.Scheme != "data" && u.Scheme != "about" && (p.mayAsk == "" || !strings.HasPrefix(r, p.mayAsk+"/")) {
				t.Errorf("the page asks another host: %s", r)
			}
		}
	})
	return p
}

// do runs actions; each of them has time.
func (p *page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	for _, a := range actions {
		run(p, a)
	}
}

func run[T any](p *page, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patient)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("%v%s", err, p.state())
	}
	return v
}

// call calls a command of the DevTools protocol.
func call[P, R any](p *page, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	return run(p, func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, command, params) })
}

// state is what the page says, for messages.
func (p *page) state() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText.slice(0, 3000)`))
	return "\nthe page is:\n" + text
}

// eval evaluates a JavaScript expression.
func eval[T any](p *page, expression string) T {
	p.t.Helper()
	return run(p, chromedp.Evaluate[T](expression))
}

// wait waits until a JavaScript expression is true.
func (p *page) wait(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patient)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingInterval(50*time.Millisecond))); err != nil {
		p.t.Fatalf("it never is so: %s: %v%s", expression, err, p.state())
	}
}

// status waits until the status line has that text.
func (p *page) status(text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`document.getElementById("status").textContent.includes(%q)`, text))
}

// paste puts text in the place of the records, as a paste does.
func (p *page) paste(text string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`(() => { const i = document.getElementById("input"); i.focus(); i.select(); document.execCommand("insertText", false, %s); return true; })()`, quoted(text)))
}

// fill puts text into a field, and says so.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`(() => { const i = document.querySelector(%s); i.value = %s; i.dispatchEvent(new Event("input", {bubbles: true})); return true; })()`, quoted(selector), quoted(text)))
}

// quoted is text as JavaScript has it.
func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// guest is the text of a module of test/guests.
func guest(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../guests", name+".wat"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// replace writes a file as compilers do, in one step.
func replace(t *testing.T, path, text string) {
	t.Helper()
	write(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// exception is what a script has thrown and nothing has caught.
func exception(d *runtime.ExceptionDetails) string {
	if d.Exception != nil {
		return d.Text + " " + d.Exception.Description
	}
	return d.Text
}

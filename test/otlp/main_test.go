// Package otlp runs the processor in real Fluent Bits that get metrics and traces from a client of OTLP and
// send them to a server of OTLP, and compares what comes out with what comes out without it. The environment
// variable FLUENT_BIT lists them, separated by colons; without it, the tests are skipped. It is a module of
// its own, for the types of OTLP.
package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	processor = "flb-processor_wasmtime.so"
	filter    = "flb-filter_wasmtime.so"

	// deadline is far more than anything here takes.
	deadline = 90 * time.Second
)

// fluentBit is one to test with.
type fluentBit struct {
	path    string
	version string // names subtests, and losses
}

var versionNumber = regexp.MustCompile(`v(\d+\.\d+\.\d+)`)

func eachFluentBit(t *testing.T, test func(t *testing.T, fb fluentBit)) {
	t.Helper()
	list := filepath.SplitList(os.Getenv("FLUENT_BIT"))
	if len(list) == 0 {
		t.Skip("*** METRICS AND TRACES NOT TESTED: FLUENT_BIT names no Fluent Bit ***")
	}
	for _, path := range list {
		out, err := exec.Command(path, "--version").Output()
		if err != nil {
			t.Fatal(err)
		}
		fb := fluentBit{path, "unknown"}
		if m := versionNumber.FindSubmatch(out); m != nil {
			fb.version = string(m[1])
		}
		if fb.version < "3" {
			continue // without such processors; x.y.z below 10 compare as texts
		}
		t.Run(fb.version, func(t *testing.T) { test(t, fb) })
	}
}

func plugin(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "build", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	return path
}

var watGuest, goGuest string // paths of modules

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if watGuest, err = filepath.Abs("../guests/otlp.wat"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Getenv("FLUENT_BIT") != "" {
		dir, err := os.MkdirTemp("", "otlp-guest-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		goGuest = filepath.Join(dir, "guest.wasm")
		build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags", "-s -w", "-o", goGuest, "./guest")
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// buffer is what a process writes while a test reads it.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// receiver is a server of OTLP over HTTP, which keeps what it is sent.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    map[string][][]byte // by signal
	counts map[string]int
	keep   bool
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{got: map[string][][]byte{}, counts: map[string]int{}, keep: true}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		signal := strings.TrimPrefix(q.URL.Path, "/v1/")
		r.mu.Lock()
		defer r.mu.Unlock()
		r.counts[signal]++
		if r.keep {
			r.got[signal] = append(r.got[signal], body)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) of(signal string) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.got[signal]...)
}

func (r *receiver) count(signal string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[signal]
}

// process is a Fluent Bit that runs.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   buffer
	url   string // of its OTLP input
	out   *receiver
	ended chan error
}

// setup is where the processor stands, and its options: lines of YAML without what goes before them.
type setup struct {
	options string // "": there is none
	outputs bool   // it is one of the output, not of the input
	signals []string
	inputs  string // in the place of the OTLP input, with %s for its processors
	sink    bool   // what comes out goes nowhere, and is not encoded by the OTLP output
	plugins []string
	before  string // processors that stand before it, and after it
	after   string
	flush   string
	service string // more lines of the service, of the OTLP input, of the output
	input   string
	output  string
}

func indent(text, by string) string {
	if text == "" {
		return ""
	}
	return by + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+by) + "\n"
}

func (s *setup) processors() string {
	if s.options == "" && s.before == "" {
		return ""
	}
	signals := s.signals
	if signals == nil {
		signals = []string{"metrics", "traces"}
	}
	text := "      processors:\n"
	for _, signal := range signals {
		text += "        " + signal + ":\n"
		if s.before != "" {
			text += indent(s.before, "          ")
		}
		if s.options != "" {
			text += "          - name: wasmtime\n" + indent(s.options, "            ")
		}
		if s.after != "" {
			text += indent(s.after, "          ")
		}
	}
	return text
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// start starts Fluent Bit, which has its OTLP input open then.
func start(t *testing.T, fb fluentBit, s setup) *process {
	t.Helper()
	p := launch(t, fb, s)
	p.wait("the input", p.listens)
	return p
}

// listens says whether the OTLP input is open.
func (p *process) listens() bool {
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err == nil {
		c.Close()
	}
	return err == nil
}

func launch(t *testing.T, fb fluentBit, s setup) *process {
	t.Helper()
	p := &process{t: t, out: newReceiver(t), ended: make(chan error, 1)}
	port := freePort(t)
	p.url = "http://127.0.0.1:" + port
	_, to, _ := net.SplitHostPort(strings.TrimPrefix(p.out.URL, "http://"))
	input := "    - name: opentelemetry\n      host: 127.0.0.1\n      port: " + port + "\n" + indent(s.input, "      ") + "%s"
	if s.inputs != "" {
		input = s.inputs
	}
	atInput, atOutput := s.processors(), ""
	if s.outputs {
		atInput, atOutput = atOutput, atInput
	}
	flush := s.flush
	if flush == "" {
		flush = "0.2"
	}
	outputs := "    - name: opentelemetry\n      match: '*'\n      host: 127.0.0.1\n      port: " + to + "\n" + indent(s.output, "      ") + atOutput
	if s.sink {
		outputs = "    - name: 'null'\n      match: '*'\n"
	}
	config := "service:\n  flush: " + flush + "\n  grace: 5\n  log_level: info\n  coro_stack_size: 262144\n" + indent(s.service, "  ") + "pipeline:\n  inputs:\n" + fmt.Sprintf(input, atInput) + "  outputs:\n" + outputs
	file := filepath.Join(t.TempDir(), "fluent-bit.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-c", file}
	plugins := s.plugins
	if plugins == nil {
		plugins = []string{processor}
	}
	for _, name := range plugins {
		args = append(args, "-e", plugin(t, name))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*deadline)
	t.Cleanup(cancel)
	p.cmd = exec.CommandContext(ctx, fb.path, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
		}
		if t.Failed() {
			t.Logf("configuration:\n%s\nlog:\n%s", config, p.log.String())
		}
	})
	return p
}

// wait polls until what is true.
func (p *process) wait(what string, is func() bool) {
	p.t.Helper()
	for end := time.Now().Add(deadline); !is(); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-p.ended:
			p.t.Fatalf("%s: Fluent Bit has ended: %v", what, err)
		default:
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s: not in %v", what, deadline)
		}
	}
}

// post sends a request.
func (p *process) post(signal string, body []byte) {
	p.t.Helper()
	response, err := http.Post(p.url+"/v1/"+signal, "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode/100 != 2 {
		p.t.Fatalf("%s: %s %s", signal, response.Status, text)
	}
}

// stop ends Fluent Bit, which has to end well.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Fatal(err)
		}
	case <-time.After(deadline):
		p.t.Fatal(errors.New("Fluent Bit does not end"))
	}
}

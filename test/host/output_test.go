package host

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/forwardserver"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// What a flush answers, as in Fluent Bit's flb_output.h.
const (
	flushError = 0
	flushOK    = 1
	flushRetry = 2
)

// definitions are the sizes of struct flb_plugin_proxy_def: up to 4.1, up to 5.1.0,
// since.
var definitions = []int{32, 40, 48}

// A proxy is a host that loads the object as the Go proxy does (src/output.c).
type proxy struct {
	t       *testing.T
	stdin   io.WriteCloser
	answers chan string
	loaded  map[string]string

	mu    sync.Mutex
	logs  []string
	done  map[string]chan int
	flush int
	gone  error
}

func startProxy(t *testing.T, definition int) *proxy {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "output")
	out, err := compiling("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-rdynamic",
		"-DDEFINITION="+strconv.Itoa(definition), "-o", binary, filepath.Join("src", "output.c"), "-ldl", "-lpthread").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := &proxy{t: t, answers: make(chan string, 1), done: map[string]chan int{}}
	words := running(binary)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // a child may hold stderr
	var stderr fluentbit.Buffer
	cmd.Stderr = &stderr
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		p.read(stdout)
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("stderr:\n%s\nlog:\n%s", tail(stderr.String()), strings.Join(p.log(), "\n"))
		}
	})
	p.loaded = p.do("load", enhex(filepath.Join(objectDir, outWasmtime)))
	return p
}

func (p *proxy) read(r io.Reader) {
	s := bufio.NewReader(r)
	for {
		line, err := s.ReadString('\n')
		if err != nil {
			p.mu.Lock()
			p.gone = errors.New("the host is gone")
			for _, c := range p.done {
				close(c)
			}
			p.done = map[string]chan int{}
			p.mu.Unlock()
			close(p.answers)
			return
		}
		line = strings.TrimSuffix(line, "\n")
		words := strings.Fields(line)
		p.mu.Lock()
		switch words[0] {
		case "log":
			p.logs = append(p.logs, strings.TrimPrefix(line, "log "))
		case "done":
			if c := p.done[words[1]]; c != nil {
				n, _ := strconv.Atoi(words[2])
				c <- n
				delete(p.done, words[1])
			}
		default:
			p.mu.Unlock()
			p.answers <- line
			continue
		}
		p.mu.Unlock()
	}
}

func (p *proxy) log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.logs...)
}

func (p *proxy) logged(parts ...string) bool {
	for _, l := range p.log() {
		if containsAll(l, parts) {
			return true
		}
	}
	return false
}

// do sends a command and returns the fields of its answer. It may not be called by
// two goroutines at once.
func (p *proxy) do(words ...string) map[string]string {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, strings.Join(words, " ")+"\n"); err != nil {
		p.t.Fatal(err)
	}
	select {
	case line, ok := <-p.answers:
		if !ok || !strings.HasPrefix(line, "ok") {
			p.t.Fatalf("%s: %q, the host lives: %v", words[0], line, ok)
		}
		fields := map[string]string{}
		for _, f := range strings.Fields(line)[1:] {
			k, v, _ := strings.Cut(f, "=")
			fields[k] = v
		}
		return fields
	case <-time.After(replyTimeout):
		p.t.Fatalf("%s: no answer", words[0])
	}
	return nil
}

// output makes an instance and returns its number and what its init returned.
func (p *proxy) output(s settings) (id, ret string) {
	p.t.Helper()
	id = p.do("new")["instance"]
	for k, v := range s {
		for one := range strings.SplitSeq(v, "\x00") {
			p.do("set", id, enhex(k), enhex(one))
		}
	}
	return id, p.do("init", id)["ret"]
}

// begin starts a flush, on a thread of the engine's or a worker's name.
func (p *proxy) begin(id string, worker bool, tag string, chunk []byte) chan int {
	p.t.Helper()
	p.mu.Lock()
	p.flush++
	name := fmt.Sprint("f", p.flush)
	c := make(chan int, 1)
	p.done[name] = c
	p.mu.Unlock()
	w := "0"
	if worker {
		w = "1"
	}
	p.do("flush", id, name, w, enhex(tag), "x"+hex.EncodeToString(chunk))
	return c
}

func (p *proxy) wait(c chan int) int {
	p.t.Helper()
	select {
	case n, ok := <-c:
		if !ok {
			p.t.Fatal("the host died during a flush")
		}
		return n
	case <-time.After(replyTimeout):
		p.t.Fatal("a flush does not end")
	}
	return -1
}

func (p *proxy) flushed(id string, tag string, chunk []byte) int {
	p.t.Helper()
	return p.wait(p.begin(id, true, tag, chunk))
}

// inbox keeps what a Forward server is sent.
type inbox struct {
	mu       sync.Mutex
	messages []forwardserver.Message
	verdict  forwardserver.Verdict
}

func (b *inbox) received(m forwardserver.Message) forwardserver.Verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, m)
	return b.verdict
}

func (b *inbox) all() []forwardserver.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]forwardserver.Message(nil), b.messages...)
}

func (b *inbox) listen(t *testing.T, address string) *forwardserver.Server {
	t.Helper()
	s, err := forwardserver.Listen(forwardserver.Config{Address: address, Received: b.received})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

func TestOutput(t *testing.T) {
	for _, definition := range definitions {
		t.Run(fmt.Sprint("definition of ", definition, " bytes"), func(t *testing.T) {
			p := startProxy(t, definition)
			if p.loaded["name"] != "wasmtime" || p.loaded["type"] != "2" || p.loaded["proxy"] != "11" {
				t.Errorf("registered as %v", p.loaded)
			}
			if n := fmt.Sprint(len(options.Table) + len(options.OutputTable)); definition == 48 && p.loaded["options"] != n {
				t.Errorf("%s options in the config map, want %s", p.loaded["options"], n)
			}
			var first, second inbox
			s1, s2 := first.listen(t, ""), second.listen(t, "")
			a, ret := p.output(settings{"wasm_path": guest(t, "wrap"), "function_name": function,
				"emit_to": "forward://" + s1.Address(), "emit_tag": "new.$TAG"})
			if ret != "1" {
				t.Fatalf("init returned %s", ret)
			}
			b, ret := p.output(settings{"Wasm_Path": guest(t, "identity"), "Function_Name": function,
				"Emit_To": "forward://" + s2.Address(), "emit_metadata": "on", "emit_compress": "gzip"})
			if ret != "1" {
				t.Fatalf("init returned %s", ret)
			}
			for n := 1; n <= 3; n++ {
				for _, id := range []string{a, b} {
					if got := p.flushed(id, "app", chunkOf(n)); got != flushOK {
						t.Fatalf("flush: %d", got)
					}
				}
			}
			for i, m := range second.all() {
				if m.Tag != "app" || m.Size != i+1 {
					t.Errorf("tag %s, size %d", m.Tag, m.Size)
				}
				same(t, chunkOf(i+1), m.Events)
			}
			for i, m := range first.all() {
				if m.Tag != "new.app" || m.Size != i+1 {
					t.Errorf("tag %s, size %d", m.Tag, m.Size)
				}
				events, err := oracle.Unpack(m.Events)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range events {
					if body, ok := e.Body.(map[string]any); !ok || len(body) == 0 {
						t.Errorf("body %v", e.Body)
					}
				}
			}
			if len(first.all()) != 3 || len(second.all()) != 3 {
				t.Errorf("%d and %d messages", len(first.all()), len(second.all()))
			}
			for _, id := range []string{a, b} {
				if ret := p.do("exit", id)["ret"]; ret != "1" {
					t.Errorf("exit returned %s", ret)
				}
			}
			if !p.logged("[output:wasmtime:wasmtime.1]", "3 chunks: 3 delivered") {
				t.Error("no last line")
			}
			for _, l := range p.log() {
				if strings.Fields(l)[1] != "1" {
					t.Errorf("logged on a thread that is not the host's: %s", l)
				}
			}
			// A late flush, as at a shutdown, is harmless.
			if got := p.flushed(a, "app", chunkOf(1)); got != flushRetry {
				t.Errorf("flush after exit: %d", got)
			}
		})
	}
}

// With Daemon On the host forks after it has asked what the object registers.
func TestOutputForkAfterLoad(t *testing.T) {
	emulator.Skip(t, noFork)
	for _, definition := range definitions {
		p := startProxy(t, definition)
		p.do("fork")
		var in inbox
		id, ret := p.output(settings{"wasm_path": guest(t, "identity"), "function_name": function,
			"emit_to": "forward://" + in.listen(t, "").Address(), "emit_metadata": "on"})
		if ret != "1" {
			t.Fatalf("init returned %s", ret)
		}
		if got := p.flushed(id, "app", chunkOf(3)); got != flushOK {
			t.Fatalf("flush: %d", got)
		}
		same(t, chunkOf(3), in.all()[0].Events)
		p.do("exit", id)
		// What has started by now does not outlive another fork.
		p.do("fork")
		if _, ret := p.output(settings{"wasm_path": guest(t, "identity"), "function_name": function, "emit_to": "stdout"}); ret != "0" || !p.logged("forked") {
			t.Errorf("init after a second fork returned %s", ret)
		}
	}
}

// Fluent Bit hands the Go proxy the first value of an option; the others are found.
func TestOutputRepeatedOption(t *testing.T) {
	p := startProxy(t, 48)
	var in inbox
	id, ret := p.output(settings{"wasm_path": guest(t, "environment"), "function_name": function,
		"env": several("A=1", "B=x,y", "C=1,D=2"), "emit_to": "forward://" + in.listen(t, "").Address()})
	if ret != "1" {
		t.Fatalf("init returned %s", ret)
	}
	if got := p.flushed(id, "app", chunkOf(1)); got != flushOK {
		t.Fatalf("flush: %d", got)
	}
	events, err := oracle.Unpack(in.all()[0].Events)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	if body, ok := events[0].Body.(map[string]any); !ok || body["env"] != "A=1 B=x,y C=1 D=2 " {
		t.Errorf("%v", events[0].Body)
	}
	p.do("exit", id)
}

func TestOutputOptions(t *testing.T) {
	p := startProxy(t, 48)
	good := func() settings {
		return settings{"wasm_path": guest(t, "identity"), "function_name": function, "emit_to": "stdout"}
	}
	for _, c := range []struct{ option, value, want string }{
		{"emit_to", "", "emit_to is not set"},
		{"emit_to", "http://x", "forward://HOST:PORT"},
		{"emit_tag", "$", "option emit_tag"},
		{"emit_timeout", "soon", "option emit_timeout"},
		{"wasm_path", "/does/not/exist", "wasm_path"},
		{"function_name", "nope", "nope"},
		{"emit_tls_ca_file", "/does/not/exist", "emit_tls on"},
	} {
		s := good()
		if s[c.option] = c.value; c.value == "" {
			delete(s, c.option)
		}
		id, ret := p.output(s)
		if ret != "0" {
			t.Errorf("%s = %q: init returned %s", c.option, c.value, ret)
		}
		if !p.logged("[output:wasmtime:wasmtime."+id+"]", c.want) {
			t.Errorf("%s = %q: no line with %q in %q", c.option, c.value, c.want, p.log())
		}
	}
}

// A far side that does not answer holds the engine's thread for no longer than it
// takes to find that out, and the workers of another output not at all.
func TestOutputDoesNotBlock(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := startProxy(t, 48)
	hung := inbox{verdict: forwardserver.Ignore}
	var good inbox
	id, _ := p.output(settings{"wasm_path": guest(t, "identity"), "function_name": function,
		"emit_to": "forward://" + hung.listen(t, "").Address(), "emit_timeout": "1h", "flush_timeout": "1h"})
	other, _ := p.output(settings{"wasm_path": guest(t, "identity"), "function_name": function,
		"emit_to": "forward://" + good.listen(t, "").Address()})
	stuck := p.begin(id, true, "app", chunkOf(2)) // a worker waits for flush_timeout
	for range 20 {
		if got := p.wait(p.begin(id, false, "app", chunkOf(1))); got != flushRetry {
			t.Fatalf("flush: %d", got)
		}
	}
	for n := 1; n < 20; n++ {
		if got := p.flushed(other, "app", chunkOf(n)); got != flushOK {
			t.Fatalf("flush: %d", got)
		}
	}
	sent := map[string]int{}
	for _, m := range hung.all() {
		if sent[m.ID]++; sent[m.ID] > 1 {
			t.Error("a chunk was sent twice")
		}
	}
	if !p.logged("Workers 1") {
		t.Error("no hint at Workers")
	}
	select {
	case n := <-stuck:
		t.Errorf("the worker's flush ended: %d", n)
	default:
	}
	p.do("exit", id)
	p.wait(stuck)
}

// Flushes that come one after the other do not each wait for a far side that does not
// answer: a shutdown waits for all of them.
func TestOutputFlushesDoNotWaitInTurn(t *testing.T) {
	for _, timeouts := range []settings{
		{"emit_timeout": "500ms", "flush_timeout": "1s"},
		{"emit_timeout": "1h", "flush_timeout": "500ms"},
	} {
		t.Run(timeouts["emit_timeout"], func(t *testing.T) {
			t.Parallel()           // it waits most of the time
			p := startProxy(t, 32) // of which nothing can be learned about its engine
			hung := inbox{verdict: forwardserver.Ignore}
			s := settings{"wasm_path": guest(t, "identity"), "function_name": function,
				"emit_to": "forward://" + hung.listen(t, "").Address()}
			for k, v := range timeouts {
				s[k] = v
			}
			id, _ := p.output(s)
			end := time.Now().Add(replyTimeout)
			for n := range 100 {
				if got := p.wait(p.begin(id, true, "app", chunkOf(1+n))); got != flushRetry {
					t.Fatalf("flush: %d", got)
				}
				if time.Now().After(end) {
					t.Fatalf("%v: %d flushes took %v", timeouts, n+1, replyTimeout)
				}
			}
			p.do("exit", id)
		})
	}
}

// An engine that has ended waits for its workers: what they wait for ends, though the
// far side has acknowledged what came before.
func TestOutputEngineEnds(t *testing.T) {
	for _, definition := range []int{40, 48} {
		t.Run(strconv.Itoa(definition), func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, definition)
			acknowledge := make(chan bool, 1)
			acknowledge <- true
			s, err := forwardserver.Listen(forwardserver.Config{Received: func(forwardserver.Message) forwardserver.Verdict {
				if <-acknowledge {
					return forwardserver.Acknowledge
				}
				return forwardserver.Ignore
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Kill)
			t.Cleanup(func() { close(acknowledge) })
			id, _ := p.output(settings{"wasm_path": guest(t, "identity"), "function_name": function,
				"emit_to": "forward://" + s.Address(), "emit_timeout": "1h", "flush_timeout": "1h"})
			if got := p.flushed(id, "app", chunkOf(1)); got != flushOK {
				t.Fatalf("flush: %d", got)
			}
			waiting := p.begin(id, true, "app", chunkOf(2))
			p.do("end-engine")
			if got := p.wait(waiting); got != flushRetry {
				t.Errorf("flush: %d", got)
			}
			for n := range 20 {
				if got := p.flushed(id, "app", chunkOf(3+n)); got != flushRetry {
					t.Errorf("flush: %d", got)
				}
			}
			p.do("exit", id)
		})
	}
}

// Guests that trap, on the stack that they have in the output.
func TestOutputHostileGuests(t *testing.T) {
	p := startProxy(t, 48)
	for _, name := range []string{"oob_store", "div_by_zero", "stack_overflow", "infinite_loop", "trap_every_third"} {
		var in inbox
		s := in.listen(t, "")
		id, ret := p.output(settings{"wasm_path": guest(t, name), "function_name": function, "timeout": "50ms",
			"emit_to": "forward://" + s.Address(), "emit_metadata": "on"})
		if ret != "1" {
			t.Fatalf("%s: init returned %s", name, ret)
		}
		if got := p.flushed(id, "app", chunkOf(6)); got != flushOK {
			t.Errorf("%s: flush: %d", name, got)
		}
		messages := in.all()
		if len(messages) != 1 {
			t.Fatalf("%s: %d messages", name, len(messages))
		}
		same(t, chunkOf(6), messages[0].Events)
		p.do("exit", id)
	}
}

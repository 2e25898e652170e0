package output

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/forwardserver"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
)

// patient is how long something may take that must come to an end. What is tested
// here took minutes, or for ever, when it went wrong.
const patient = 30 * time.Second

// ends fails the test if f does not end.
func ends(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(patient):
		t.Fatalf("not within %v: %s", patient, what)
	}
}

// until polls for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patient); !condition(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %v: %s", patient, what)
		}
	}
}

// engine is a host whose engine goes round, until it is silent; and whose clock may
// be put forward.
type engine struct{ silent, later atomic.Int64 }

func (e *engine) host() *Host {
	h := newHost()
	h.Silent = func() time.Duration { return time.Duration(e.silent.Load()) }
	return h
}

func (e *engine) open(t *testing.T, g *guest, set map[string]string) *Output {
	t.Helper()
	o, err := start(parse(t, set), newSink(), e.host(), func() (transformer, error) { return g, nil })
	if err != nil {
		t.Fatal(err)
	}
	o.now = func() time.Time { return time.Now().Add(time.Duration(e.later.Load())) }
	t.Cleanup(func() {
		e.silent.Store(int64(time.Hour)) // nothing is worth waiting for
		o.Close()
	})
	return o
}

// goroutines counts those of outputs and their clients.
func goroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("output.(*Output)")) || bytes.Contains(stack, []byte("/internal/forward.")) {
			n++
		}
	}
	return n
}

func TestPatience(t *testing.T) {
	var p patience
	now := time.Unix(1000, 0)
	pass := func(d time.Duration) { now = now.Add(d) }
	const limit = 10 * time.Second
	enter := func(want time.Duration) {
		t.Helper()
		if got := p.enter(limit, now); got != want {
			t.Errorf("a wait of %v, want %v", got, want)
		}
	}
	enter(limit)
	pass(4 * time.Second)
	enter(6 * time.Second) // beside the first one
	pass(time.Second)
	p.leave(limit, now)
	p.leave(limit, now)
	enter(5 * time.Second)
	pass(5 * time.Second)
	p.leave(limit, now)
	enter(0)
	p.leave(limit, now)
	pass(10 * time.Second)
	enter(100 * time.Millisecond) // a hundredth comes back
	pass(50 * time.Millisecond)
	p.leave(limit, now)
	enter(50 * time.Millisecond)
	pass(20 * time.Second) // some other thread was late
	p.leave(limit, now)
	pass(time.Second)
	enter(10 * time.Millisecond)
	pass(time.Second)
	p.delivered(now)
	enter(limit)
	p.leave(limit, now)
	p.leave(limit, now)
	enter(limit)
	p.leave(limit, now)
	pass(5000 * time.Hour)
	enter(limit)
}

func TestEngineTime(t *testing.T) {
	var e engineTime
	now := time.Unix(1000, 0)
	left := func(limit, want time.Duration) {
		t.Helper()
		if got := e.left(limit, now); got != want {
			t.Errorf("%v are left, want %v", got, want)
		}
	}
	wait := func(d time.Duration) { now = now.Add(d); e.spend(d) }
	const limit = 100 * time.Millisecond
	left(10*time.Second, 10*time.Second)
	left(limit, limit)
	waited := time.Duration(0)
	for range 1000 { // flushes without a pause
		d := e.left(limit, now)
		wait(d)
		waited += d
		now = now.Add(time.Millisecond)
	}
	if most := engineReserve + now.Sub(time.Unix(1000, 0))/engineShare; waited > most || waited < most-time.Second {
		t.Errorf("of %v, %v were waited", now.Sub(time.Unix(1000, 0)), waited)
	}
	now = now.Add(time.Second)
	for range 5 {
		left(limit, limit)
		wait(limit)
	}
	now = now.Add(time.Hour)
	left(2*time.Second, 2*time.Second)
}

// However many outputs without Workers there are, and though their far sides do
// acknowledge, the engine gets on.
func TestEngineIsNotHeldUp(t *testing.T) {
	r := receiver{verdict: func(int) forwardserver.Verdict {
		<-time.After(50 * time.Millisecond)
		return forwardserver.Acknowledge
	}}
	_, to := serve(t, &r)
	h := newHost()
	var outputs []*Output
	for range 4 {
		o, err := start(parse(t, map[string]string{"emit_to": to}), newSink(), h, func() (transformer, error) { return &guest{}, nil })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { o.Close() })
		outputs = append(outputs, o)
	}
	ends(t, "1000 flushes", func() {
		for n := range 1000 {
			outputs[n%4].Flush("app", record(n), true)
		}
	})
	for _, o := range outputs {
		if o.Stats().Delivered == 0 {
			t.Error("nothing was waited for")
		}
	}
}

// farSides are those that deliver nothing, and what has to be set to find that.
func farSides(t *testing.T) map[string]map[string]string {
	certificate, _, err := forwardserver.Certificate(t.TempDir(), "far.example")
	if err != nil {
		t.Fatal(err)
	}
	serve := func(c forwardserver.Config) string {
		s, err := forwardserver.Listen(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Kill)
		if c.Network == "unix" {
			return "forward+unix://" + c.Address
		}
		return "forward://" + s.Address()
	}
	always := func(v forwardserver.Verdict) forwardserver.Config {
		return forwardserver.Config{Received: func(forwardserver.Message) forwardserver.Verdict { return v }}
	}
	unix := always(forwardserver.Ignore)
	unix.Network, unix.Address = "unix", filepath.Join(t.TempDir(), "s")
	refuses, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refuses.Close()
	fifo := filepath.Join(t.TempDir(), "fifo")
	full := filepath.Join(t.TempDir(), "full")
	for _, path := range []string{fifo, full} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := os.OpenFile(full, os.O_RDWR, 0) // which reads nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	reader.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := reader.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return map[string]map[string]string{
		"reads and never answers":     {"emit_to": serve(always(forwardserver.Ignore))},
		"accepts and never reads":     {"emit_to": serve(forwardserver.Config{Deaf: true})},
		"hangs up":                    {"emit_to": serve(always(forwardserver.Hangup))},
		"acknowledges something else": {"emit_to": serve(always(forwardserver.Wrong))},
		"half an acknowledgement":     {"emit_to": serve(forwardserver.Config{Raw: []byte("\x81\xa3ack\xd9\x20x")})},
		"half a HELO":                 {"emit_to": serve(forwardserver.Config{Raw: []byte("\x92\xa4HE")}), "emit_shared_key": "k"},
		"hung TLS handshake":          {"emit_to": serve(forwardserver.Config{Deaf: true}), "emit_tls": "on"},
		"unknown certificate":         {"emit_to": serve(forwardserver.Config{TLS: certificate}), "emit_tls": "on"},
		"refuses":                     {"emit_to": "forward://" + refuses.Addr().String()},
		"unix socket":                 {"emit_to": serve(unix)},
		"no unix socket":              {"emit_to": "forward+unix://" + filepath.Join(t.TempDir(), "none")},
		"FIFO without a reader":       {"emit_to": "file://" + fifo},
		"full FIFO":                   {"emit_to": "file://" + full},
		"full disk":                   {"emit_to": "file:///dev/full"},
	}
}

// Whatever the far side does, and whichever of the timeouts is the longer one, flushes
// that come one after the other do not each wait, none of them gives a chunk up, and
// what is left ends with the output.
func TestFlushesDoNotWaitInTurn(t *testing.T) {
	for name, set := range farSides(t) {
		t.Run(name, func(t *testing.T) {
			for _, timeouts := range []map[string]string{
				{"emit_timeout": "100ms", "emit_connect_timeout": "100ms", "flush_timeout": "200ms", "engine_timeout": "200ms"},
				{"emit_timeout": "1h", "emit_connect_timeout": "10m", "flush_timeout": "100ms", "engine_timeout": "100ms"},
			} {
				for _, workers := range []int{0, 4} {
					all := map[string]string{}
					for _, m := range []map[string]string{set, timeouts} {
						for k, v := range m {
							all[k] = v
						}
					}
					var e engine
					g := &guest{}
					o := e.open(t, g, all)
					var results [3]atomic.Int64
					ends(t, fmt.Sprint(workers, " workers, ", timeouts), func() {
						var wg sync.WaitGroup
						for w := range max(workers, 1) {
							wg.Go(func() {
								for n := range 400 {
									results[o.Flush("app", record(1000*w+n), workers == 0)].Add(1)
								}
							})
						}
						wg.Wait()
					})
					if results[OK].Load() != 0 || results[Error].Load() != 0 {
						t.Errorf("%d flushes answered retry, %d OK, %d error", results[Retry].Load(), results[OK].Load(), results[Error].Load())
					}
					e.silent.Store(int64(closeBy)) // there is nothing to wait for
					ends(t, "the end of the output", func() {
						for _, l := range o.Close() {
							if strings.Contains(l.Text, "left behind") {
								t.Error(l.Text)
							}
						}
					})
					if !g.ended {
						t.Error("the guest was not closed")
					}
					until(t, "no goroutine is left", func() bool { return goroutines() == 0 })
				}
			}
		})
	}
}

// A far side that is back is found by the first retry.
func TestBackAfterAnOutage(t *testing.T) {
	for _, onEngine := range []bool{false, true} {
		var back atomic.Bool
		r := receiver{verdict: func(int) forwardserver.Verdict {
			if back.Load() {
				return forwardserver.Acknowledge
			}
			return forwardserver.Ignore
		}}
		_, to := serve(t, &r)
		var e engine
		o := e.open(t, &guest{}, map[string]string{"emit_to": to, "emit_timeout": "20ms", "flush_timeout": "2s", "engine_timeout": "2s"})
		for n := range 150 {
			want(t, o.Flush("app", record(n), onEngine), Retry)
		}
		back.Store(true)
		until(t, "no attempt is under way", func() bool {
			o.mu.Lock()
			defer o.mu.Unlock()
			for e := o.order.Front(); e != nil; e = e.Next() {
				if e.Value.(*delivery).state == working {
					return false
				}
			}
			return true
		})
		e.later.Store(int64(time.Hour)) // until the retry
		for n := range 150 {
			if got := o.Flush("app", record(n), onEngine); got != OK {
				t.Fatalf("chunk %d: result %d", n, got)
			}
		}
	}
}

// What the far side has no part in is no sign of it, and does not wait for it.
func TestEmptyChunksAreNoSign(t *testing.T) {
	r := receiver{verdict: func(int) forwardserver.Verdict { return forwardserver.Ignore }}
	_, to := serve(t, &r)
	var e engine
	// A record ends with its number; nothing is left of the odd ones.
	g := &guest{run: func(_ int, data []byte) ([]byte, bool) { return nil, data[len(data)-1]%2 == 1 }}
	o := e.open(t, g, map[string]string{"emit_to": to, "emit_timeout": "1h", "flush_timeout": "500ms"})
	ends(t, "400 flushes", func() {
		for n := range 400 {
			for o.Flush("app", record(n), false) != OK && n%2 == 1 {
			}
		}
	})
}

// An engine that has ended waits for its workers: their flushes end, though this far
// side does acknowledge, chunk after chunk.
func TestEngineGone(t *testing.T) {
	next := make(chan struct{})
	r := receiver{verdict: func(int) forwardserver.Verdict { <-next; return forwardserver.Acknowledge }}
	_, to := serve(t, &r)
	t.Cleanup(func() { close(next) }) // before the server is killed
	var e engine
	o := e.open(t, &guest{}, map[string]string{"emit_to": to, "emit_timeout": "1h", "flush_timeout": "1h"})
	result := make(chan Result, 1)
	go func() { result <- o.Flush("app", record(0), false) }()
	next <- struct{}{}
	want(t, <-result, OK)
	go func() { result <- o.Flush("app", record(1), false) }()
	until(t, "the chunk has come", func() bool { return len(r.all()) == 2 })
	e.silent.Store(int64(engineGone) - 1)
	select {
	case r := <-result:
		t.Fatalf("the flush ended: %d", r)
	case <-time.After(3 * lookInterval):
	}
	e.silent.Store(int64(engineGone))
	ends(t, "the flush that waited, and more of them", func() {
		want(t, <-result, Retry)
		for n := range 100 {
			want(t, o.Flush("app", record(2+n), false), Retry)
		}
	})
	// On its own thread the engine is there.
	o.mu.Lock()
	o.options.EngineTimeout = time.Hour
	o.mu.Unlock()
	go func() { result <- o.Flush("app", record(1), true) }()
	next <- struct{}{}
	want(t, <-result, OK)
}

// Several outputs of an engine that has ended are closed within one time.
func TestCloseManyOutputs(t *testing.T) {
	r := receiver{verdict: func(int) forwardserver.Verdict { return forwardserver.Ignore }}
	_, to := serve(t, &r)
	var e engine
	var outputs []*Output
	for range 20 {
		o := e.open(t, &guest{}, map[string]string{"emit_to": to, "flush_timeout": "0", "emit_timeout": "1h"})
		want(t, o.Flush("app", record(1), false), Retry)
		outputs = append(outputs, o)
	}
	e.silent.Store(int64(closeBy))
	ends(t, "the end of all", func() {
		for _, o := range outputs {
			o.Close()
		}
	})
	want(t, outputs[0].Flush("app", record(1), false), Retry)
}

// A delivery under way when its output is closed has some time left.
func TestCloseWaitsForADelivery(t *testing.T) {
	came, release := make(chan struct{}), make(chan struct{})
	r := receiver{verdict: func(int) forwardserver.Verdict { close(came); <-release; return forwardserver.Acknowledge }}
	_, to := serve(t, &r)
	var e engine
	o := e.open(t, &guest{}, map[string]string{"emit_to": to, "flush_timeout": "0"})
	want(t, o.Flush("app", record(1), false), Retry)
	<-came
	closed := make(chan []Line)
	go func() { closed <- o.Close() }()
	until(t, "it is being closed", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return o.closing })
	close(release)
	if lines := <-closed; !strings.Contains(lines[len(lines)-1].Text, "1 chunks: 1 delivered") {
		t.Errorf("%+v", lines)
	}
}

// A module that does not come back is left behind.
func TestCloseLeavesTheGuest(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	_, to := serve(t, &receiver{})
	var e engine
	o := e.open(t, &guest{run: func(int, []byte) ([]byte, bool) { close(began); <-release; return nil, true }},
		map[string]string{"emit_to": to, "flush_timeout": "0"})
	want(t, o.Flush("app", record(1), false), Retry)
	<-began
	e.silent.Store(int64(closeBy))
	ends(t, "the end of the output", func() {
		if lines := o.Close(); !strings.Contains(lines[0].Text, "left behind") {
			t.Errorf("%+v", lines)
		}
	})
}

// A FIFO that nobody reads is said to be one, and found again with its reader.
func TestFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	o := open(t, &guest{}, map[string]string{"emit_to": "file://" + path})
	ends(t, "a flush", func() { want(t, o.Flush("app", record(1), false), Retry) })
	if lines := o.Lines(); len(lines) != 1 || !strings.Contains(lines[0].Text, "nobody reads") {
		t.Errorf("%+v", lines)
	}
	got := make(chan int)
	go func() {
		b, _ := os.ReadFile(path)
		got <- bytes.Count(b, []byte("\n"))
	}()
	until(t, "the reader is there", func() bool { return o.Flush("app", record(1), false) == OK })
	ends(t, "a flush of more than a pipe holds", func() {
		want(t, o.Flush("app", bytes.Repeat(record(1), 10_000), false), OK)
		o.Close()
	})
	if n := <-got; n != 10_001 {
		t.Errorf("%d lines came", n)
	}
}

// Standard output whose reader is gone, or does not read, is no reason to die, or to
// hang. This test is its own child.
func TestStdout(t *testing.T) {
	if os.Getenv("TEST_STDOUT") != "" {
		o, err := start(parse(t, map[string]string{"emit_to": "stdout", "flush_timeout": "200ms"}), newSink(), newHost(),
			func() (transformer, error) { return &guest{}, nil })
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			want(t, o.Flush("app", bytes.Repeat(record(1), 5000), false), Retry)
		}
		o.host.Silent = func() time.Duration { return closeBy }
		o.Close()
		os.Exit(7)
	}
	for _, gone := range []bool{false, true} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := emulator.Command(os.Args[0], "-test.run=^TestStdout$")
		cmd.Env = append(os.Environ(), "TEST_STDOUT=1")
		cmd.Stdout = write
		if gone {
			read.Close()
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill()
		ends(t, "the child", func() { cmd.Wait() })
		if code := cmd.ProcessState.ExitCode(); code != 7 {
			t.Errorf("reader gone: %v; the child ended with %v", gone, cmd.ProcessState)
		}
		read.Close()
		write.Close()
	}
}

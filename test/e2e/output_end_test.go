package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/forwardserver"
)

// Fluent Bit ends, whatever the far sides do: it has an output for each of them, a
// queue of chunks that each could wait for, and joins the threads of one output after
// the other.
func TestOutputsEndInTime(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, workers := range []int{0, 1, 2, 4} {
			t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) { fb.endInTime(t, workers) })
		}
	})
}

func (fb fluentBit) endInTime(t *testing.T, workers int) {
	serve := func(c forwardserver.Config) string {
		s, err := forwardserver.Listen(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Kill)
		return "emit_to forward://" + s.Address()
	}
	always := func(v forwardserver.Verdict) forwardserver.Config {
		return forwardserver.Config{Received: func(forwardserver.Message) forwardserver.Verdict { return v }}
	}
	unix := always(forwardserver.Ignore)
	unix.Network, unix.Address = "unix", filepath.Join(t.TempDir(), "s")
	serve(unix)
	refuses, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refuses.Close()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	defer close(stopped)
	slow := func(wait time.Duration) forwardserver.Config {
		turn := make(chan struct{}, 1)
		return forwardserver.Config{Received: func(forwardserver.Message) forwardserver.Verdict {
			turn <- struct{}{}
			defer func() { <-turn }()
			select {
			case <-time.After(wait):
			case <-stopped:
			}
			return forwardserver.Acknowledge
		}}
	}
	const soon, late = "\n    emit_timeout 2s\n    emit_connect_timeout 2s", "\n    emit_timeout 60s\n    flush_timeout 2s"
	var healthy atomic.Int64
	outputs := []string{
		serve(forwardserver.Config{Received: func(m forwardserver.Message) forwardserver.Verdict {
			healthy.Add(int64(m.Size))
			return forwardserver.Acknowledge
		}}),
		serve(always(forwardserver.Ignore)) + soon,
		serve(always(forwardserver.Ignore)) + late,
		serve(always(forwardserver.Ignore)) + "\n    emit_ack off",
		serve(always(forwardserver.Hangup)),
		serve(always(forwardserver.Drip)) + soon,
		serve(forwardserver.Config{Deaf: true}) + soon,
		serve(forwardserver.Config{Deaf: true}) + soon + "\n    emit_tls on",
		serve(forwardserver.Config{Raw: []byte("\x92\xa4HE")}) + soon + "\n    emit_shared_key k",
		serve(slow(time.Second)),           // one after the other
		serve(slow(90 * time.Millisecond)), // within engine_timeout
		"emit_to forward://" + refuses.Addr().String(),
		"emit_to forward://far.example.invalid:24224" + soon,
		"emit_to forward+unix://" + unix.Address + soon,
		"emit_to file://" + fifo,
		"emit_to file:///dev/full",
	}
	conf := strings.Replace(outputService, "grace 2", "grace 1\n    scheduler.base 1\n    scheduler.cap 2", 1)
	for n := range 10 {
		conf += fmt.Sprintf(`
[INPUT]
    name dummy
    tag app.%d
    dummy {"a":1}
    rate 10
`, n)
	}
	for _, o := range outputs {
		conf += fmt.Sprintf(`
[OUTPUT]
    name wasmtime
    match app.*
    wasm_path WASM
    function_name filter
    workers %d
    retry_limit 3
    %s
`, workers, o)
	}
	p := fb.startOutput(t, conf)
	p.until("records at the one that takes them", func() bool { return healthy.Load() > 300 })
	p.cmd.Process.Signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 && !fb.freesOutputsTwice(t) {
		t.Errorf("exit code after SIGTERM = %d, want 0 (%v)", code, p.cmd.ProcessState)
	}
}

// freesOutputsTwice says whether this Fluent Bit dies as it ends with two outputs of one Go plugin:
// 1.9 frees what they share at the end of each (proxy_go_destroy in src/proxy/go/go.c).
func (fb fluentBit) freesOutputsTwice(t *testing.T) bool {
	conf := outputService + `
[INPUT]
    name dummy
`
	for range 2 {
		conf += `
[OUTPUT]
    name wasmtime
    match *
    wasm_path WASM
    function_name filter
    emit_to file://DIR/out
`
	}
	p := fb.startOutput(t, conf)
	p.until("both outputs", func() bool { return p.logLine("[output:wasmtime:wasmtime.1] module ") != "" })
	p.cmd.Process.Signal(syscall.SIGTERM)
	return p.wait() != 0
}

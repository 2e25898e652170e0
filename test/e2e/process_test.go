package e2e

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// deadline bounds each wait. Files are polled, which tell nobody that they have grown.
const deadline = 60 * time.Second

var waiting = fluentbit.Waiting{Every: 20 * time.Millisecond, AtMost: deadline}

// A process is a running Fluent Bit.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	log  fluentbit.Buffer
	done chan struct{} // closed when it has ended
}

// start runs a pipeline, and ends it with the test.
func (fb fluentBit) start(t *testing.T, p pipeline, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	if !p.bare {
		args = append([]string{"-e", pluginPath}, args...)
	}
	return fb.exec(t, dir, append(args, "-c", p.write(t, dir))...)
}

func (fb fluentBit) exec(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(fb.path, args...), dir: dir, done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Stdout = &p.log
	p.cmd.Stderr = &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("log of %s %s:\n%s", fb.path, strings.Join(args, " "), fluentbit.Clip(p.log.String()))
		}
	})
	return p
}

// mentioning returns the processes whose command line holds a text. It finds
// those that left the group in which the test started them.
func mentioning(text string) []int {
	var pids []int
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(b, []byte(text)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killMentioning kills them. The text must be one of the test's own, such as
// the name of its directory.
func killMentioning(text string) {
	for _, pid := range mentioning(text) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// wait waits for the end of the process and returns its exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(deadline):
		p.t.Fatalf("Fluent Bit did not end within %v", deadline)
		return -1
	}
}

// stop ends the process by SIGTERM, which it must answer with exit code 0.
func (p *process) stop() {
	p.t.Helper()
	if code, err := waiting.Stop(p.cmd, p.done); err != nil {
		p.t.Fatal(err)
	} else if code != 0 {
		p.t.Errorf("exit code after SIGTERM = %d, want 0 (%v)", code, p.cmd.ProcessState)
	}
}

// until polls for a condition. It fails the test at the deadline, and at once
// if the process ends without it.
func (p *process) until(what string, condition func() bool) {
	p.t.Helper()
	if err := waiting.Until(what, p.done, condition); err != nil {
		p.t.Fatalf("%v (%v)", err, p.cmd.ProcessState)
	}
}

// poll looks at a condition until it holds, or fails the test at the deadline.
func poll(t *testing.T, what string, condition func() bool) {
	t.Helper()
	if err := waiting.Until(what, nil, condition); err != nil {
		t.Fatal(err)
	}
}

// logLine returns the first line of the log that holds all the parts.
func (p *process) logLine(parts ...string) string {
lines:
	for line := range strings.Lines(p.log.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		return strings.TrimSuffix(line, "\n")
	}
	return ""
}

// output is what the pipeline has written so far.
func (p *process) output() []byte {
	p.t.Helper()
	b, err := os.ReadFile(outPath(p.dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	return b
}

// untilEvents waits until n events have come out, and returns all of them.
func (p *process) untilEvents(n int) []oracle.Event {
	p.t.Helper()
	var events []oracle.Event
	p.until("enough events", func() bool {
		events, _ = oracle.Unpack(p.output())
		return len(events) >= n
	})
	return events
}

// events returns what has come out of a pipeline that has ended.
func (p *process) events() []oracle.Event {
	p.t.Helper()
	events, err := oracle.Unpack(p.output())
	if err != nil {
		p.t.Fatalf("output: %v", err)
	}
	return events
}

// bodies are the records of events.
func bodies(events []oracle.Event) []any {
	var all []any
	for _, e := range events {
		all = append(all, e.Body)
	}
	return all
}

// freePort returns a port of the loopback interface on which nothing listens.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := fluentbit.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// dial connects to the process as soon as it listens.
func (p *process) dial(port string) net.Conn {
	p.t.Helper()
	conn, err := waiting.Dial(port, p.done)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	return conn
}

// tailInput reads a file to its end, upon which Fluent Bit ends.
func tailInput(path, parser string) plugin {
	return plugin{name: "tail", options: []string{
		"path", path, "parser", parser, "tag", "app",
		"read_from_head", "true", "exit_on_eof", "true"}}
}

// linesFile writes lines to a file.
func linesFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.log")
	writeFile(t, path, strings.Join(lines, "\n")+"\n")
	return path
}

// finish runs a pipeline that ends of itself, and returns what came out.
func (fb fluentBit) finish(t *testing.T, p pipeline) (*process, []oracle.Event) {
	t.Helper()
	run := fb.start(t, p)
	if code := run.wait(); code != 0 {
		t.Fatalf("exit code = %d, want 0", code)
	}
	return run, run.events()
}

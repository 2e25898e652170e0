package soak

import (
	"bytes"
	"errors"
	"fmt"
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
)

// deadline bounds each wait, from the last progress on. Files are polled, which tell nobody that they have grown.
const (
	deadline  = 60 * time.Second
	pollEvery = 10 * time.Millisecond
)

var waiting = fluentbit.Waiting{Every: pollEvery, AtMost: deadline}

// A process is a running Fluent Bit.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	dir     string
	logPath string
	done    chan struct{} // closed when it has ended

	logAt   int64 // of the log: what starts has seen
	started int
}

// start runs a Fluent Bit with a configuration in dir, and ends it with the test.
func (fb fluentBit) start(t *testing.T, dir, config string, args ...string) *process {
	t.Helper()
	path := filepath.Join(dir, "fluent-bit.conf")
	writeFile(t, path, config)
	p := &process{t: t, dir: dir, logPath: filepath.Join(dir, "fluent-bit.log"), done: make(chan struct{})}
	log, err := os.Create(p.logPath)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(fb.path, append(args, "-c", path)...)
	p.cmd.Dir = dir
	p.cmd.Stdout = log
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.cmd, fluentbit.Clip(p.log()))
		}
	})
	return p
}

func (p *process) log() string {
	b, err := os.ReadFile(p.logPath)
	if err != nil {
		p.t.Fatal(err)
	}
	return fluentbit.Plain(string(b))
}

// startLine is in the log once for each start of a pipeline.
const startLine = "[fluent bit] version="

// starts returns how often Fluent Bit has started a pipeline: once, and once more
// with each reload.
func (p *process) starts() int {
	p.t.Helper()
	f, err := os.Open(p.logPath)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	b, err := readFrom(f, p.logAt)
	if err != nil {
		p.t.Fatal(err)
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	p.logAt += int64(len(b))
	p.started += bytes.Count(b, []byte(startLine))
	return p.started
}

// ended tells whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// until polls for a condition. It fails the test at the deadline, and at once if
// the process ends.
func (p *process) until(what string, condition func() bool) {
	p.t.Helper()
	p.often(pollEvery, what, condition)
}

// often is until at another pace.
func (p *process) often(every time.Duration, what string, condition func() bool) {
	p.t.Helper()
	if err := (fluentbit.Waiting{Every: every, AtMost: deadline}).Until(what, p.done, condition); err != nil {
		p.t.Fatalf("%v (%v)", err, p.cmd.ProcessState)
	}
}

// signal sends a signal to a process that must be alive.
func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("%v: %v (%v)", sig, err, p.cmd.ProcessState)
	}
}

// stop ends the process by SIGTERM, which it must answer with exit code 0.
func (p *process) stop() {
	p.t.Helper()
	if p.ended() {
		p.t.Fatalf("Fluent Bit ended (%v) before it was told to", p.cmd.ProcessState)
	}
	if code, err := waiting.Stop(p.cmd, p.done); err != nil {
		p.t.Fatal(err)
	} else if code != 0 {
		p.t.Errorf("exit code after SIGTERM = %d, want 0 (%v)", code, p.cmd.ProcessState)
	}
}

// A size is what a process uses of the machine. Its memory is that which is its own:
// pages of files, such as the plugin's code, come and go with the kernel, which moves
// code into pages of 2 MiB.
type size struct {
	ownKB, threads, files int
}

// heapKB is by how much the plugin may grow until Go's first collection: its heap's least
// size (runtime/mgcpacer.go, defaultHeapMinimum). What is reloaded or given up is little of
// that, so it takes dozens of reloads.
const heapKB = 4 << 10

func (s size) String() string {
	return fmt.Sprintf("%.1f MB of memory, %d threads, %d descriptors", float64(s.ownKB)/1000, s.threads, s.files)
}

// sizeOf reads it for a process, or for "self".
func sizeOf(t *testing.T, pid string) size {
	t.Helper()
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	var s size
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2:
		case fields[0] == "RssAnon:" || fields[0] == "RssShmem:":
			kB, _ := strconv.Atoi(fields[1])
			s.ownKB += kB
		case fields[0] == "Threads:":
			s.threads, _ = strconv.Atoi(fields[1])
		}
	}
	files, err := os.ReadDir("/proc/" + pid + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	s.files = len(files)
	if s.ownKB == 0 || s.threads == 0 {
		t.Fatalf("/proc/%s/status: %s", pid, status)
	}
	return s
}

func (p *process) size() size {
	p.t.Helper()
	return sizeOf(p.t, strconv.Itoa(p.cmd.Process.Pid))
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

// freePort returns a port of the loopback interface on which nothing listens.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := fluentbit.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// readFrom reads a file from an offset to its end.
func readFrom(f *os.File, at int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil || info.Size() <= at {
		return nil, err
	}
	b := make([]byte, info.Size()-at)
	n, err := f.ReadAt(b, at)
	if errors.Is(err, os.ErrClosed) || n == 0 {
		return nil, err
	}
	return b[:n], nil
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

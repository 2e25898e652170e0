package host

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// replyTimeout bounds each command. A plugin that hangs fails the test.
const replyTimeout = 60 * time.Second

// Verdicts of a filter, as in Fluent Bit's flb_filter.h.
const (
	modified = 1
	notouch  = 2
)

// Levels of Fluent Bit's log.
const (
	levelError = 1
	levelWarn  = 2
	levelInfo  = 3
	levelDebug = 4
)

type logLine struct {
	level int
	text  string
}

// A process is a running host.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan string   // what the host answers, without its log
	logged chan struct{} // told of new log lines
	ended  chan struct{} // closed when the host is gone
	stderr fluentbit.Buffer
	chunks map[string]int

	mu   sync.Mutex
	logs []logLine
}

// A reply is what a command came to.
type reply struct {
	fields  map[string]string
	details [][]string // the words of the lines before the last
}

func (r reply) num(field string) int {
	n, err := strconv.Atoi(r.fields[field])
	if err != nil {
		panic(fmt.Sprintf("the host answered no number %s: %v", field, r.fields))
	}
	return n
}

// start runs a host, and ends it with the test.
func start(t testing.TB, f family) *process {
	t.Helper()
	words := running(f.binary())
	p := &process{
		t:      t,
		cmd:    exec.Command(words[0], words[1:]...),
		lines:  make(chan string, 4096),
		logged: make(chan struct{}, 1),
		ended:  make(chan struct{}),
		chunks: map[string]int{},
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stderr = &p.stderr
	// Wait must not wait for a forked child that holds stderr.
	p.cmd.WaitDelay = time.Second
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	stdout, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = write
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	go func() {
		p.read(stdout)
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
		if t.Failed() {
			t.Logf("the host's stderr:\n%s", tail(p.stderr.String()))
			for _, l := range p.takeLogs() {
				t.Logf("log %d: %s", l.level, l.text)
			}
		}
	})
	return p
}

// tail shortens what a crash of the Go runtime prints.
func tail(s string) string {
	const most = 6000
	if len(s) > most {
		return s[:most] + "\n..."
	}
	return s
}

// read sorts the host's lines until the host ends.
func (p *process) read(stdout io.ReadCloser) {
	defer stdout.Close()
	defer close(p.lines)
	r := bufio.NewReader(stdout)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "log "); ok {
			level, text, _ := strings.Cut(rest, " ")
			n, _ := strconv.Atoi(level)
			p.mu.Lock()
			p.logs = append(p.logs, logLine{n, string(unhex(text))})
			p.mu.Unlock()
			select {
			case p.logged <- struct{}{}:
			default:
			}
			continue
		}
		p.lines <- line
	}
}

// takeLogs returns the log lines since the last call.
func (p *process) takeLogs() []logLine {
	p.mu.Lock()
	defer p.mu.Unlock()
	logs := p.logs
	p.logs = nil
	return logs
}

// waitLog waits for a line of this level, or of any if it is 0, that holds all the
// parts, and returns it.
func (p *process) waitLog(level int, parts ...string) string {
	p.t.Helper()
	var seen []logLine
	timeout := time.After(replyTimeout)
	for {
		logs := p.takeLogs()
		seen = append(seen, logs...)
		for _, l := range logs {
			if (level == 0 || l.level == level) && containsAll(l.text, parts) {
				return l.text
			}
		}
		select {
		case <-p.logged:
		case <-timeout:
			p.t.Fatalf("no log line of level %d with %q; seen were %+v", level, parts, seen)
		}
	}
}

func containsAll(s string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}

func enhex[T string | []byte](b T) string { return "x" + hex.EncodeToString([]byte(b)) }

// unhex returns nil for "-", which stands for a null pointer.
func unhex(word string) []byte {
	digits, ok := strings.CutPrefix(word, "x")
	if !ok {
		return nil
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return b
}

// try sends a command and returns the host's error, if it is one. A host that
// dies or does not answer fails the test.
func (p *process) try(words ...string) (reply, error) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, strings.Join(words, " ")+"\n"); err != nil {
		p.t.Fatalf("%s: the host is gone: %v", words[0], err)
	}
	r := reply{fields: map[string]string{}}
	timeout := time.After(replyTimeout)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				<-p.ended
				p.t.Fatalf("%s: the host died: %v", words[0], p.cmd.ProcessState)
			}
			parts := strings.Fields(line)
			switch parts[0] {
			case "ok":
				for _, part := range parts[1:] {
					key, value, _ := strings.Cut(part, "=")
					r.fields[key] = value
				}
				return r, nil
			case "err":
				return r, fmt.Errorf("%s: %s", words[0], unhex(parts[1]))
			}
			r.details = append(r.details, parts)
		case <-timeout:
			p.t.Fatalf("%s: no answer within %v", words[0], replyTimeout)
		}
	}
}

// do sends a command that must succeed.
func (p *process) do(words ...string) reply {
	p.t.Helper()
	r, err := p.try(words...)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// load loads an object and returns what it registers.
func (p *process) load(object string) reply {
	p.t.Helper()
	return p.do("load", enhex(filepath.Join(objectDir, object)))
}

// loaded is a host that has loaded the filter.
func loaded(t testing.TB, f family) *process {
	t.Helper()
	p := start(t, f)
	p.load(filterWasmtime)
	return p
}

// An instance is a [FILTER] of a host.
type instance struct {
	p  *process
	id string
}

// settings are the options of an instance, in any order. Here, log_level is the
// level's number.
type settings map[string]string

// several is the value of an option that is set several times.
func several(values ...string) string { return strings.Join(values, "\x00") }

// instance configures an instance, without its init.
func (p *process) instance(s settings) instance {
	p.t.Helper()
	i := instance{p, p.do("new").fields["instance"]}
	for key, value := range s {
		for v := range strings.SplitSeq(value, "\x00") {
			p.do("set", i.id, enhex(key), enhex(v))
		}
	}
	return i
}

// init returns what the host's init returned.
// preRun asks whether the instance would start, as at a hot reload.
func (i instance) preRun() int {
	i.p.t.Helper()
	return i.p.do("prerun", i.id).num("ret")
}

func (i instance) init() int {
	i.p.t.Helper()
	return i.p.do("init", i.id).num("ret")
}

// ready is an instance that runs the function f of a guest.
func (p *process) ready(wasmPath, function string, more settings) instance {
	p.t.Helper()
	s := settings{"wasm_path": wasmPath, "function_name": function}
	for key, value := range more {
		s[key] = value
	}
	i := p.instance(s)
	if ret := i.init(); ret != 0 {
		p.t.Fatalf("init returned %d", ret)
	}
	return i
}

func (i instance) exit() {
	i.p.t.Helper()
	if ret := i.p.do("exit", i.id).num("ret"); ret != 0 {
		i.p.t.Errorf("exit returned %d", ret)
	}
}

// A result is what a filter made of a chunk.
type result struct {
	verdict int
	out     []byte // if verdict is modified
	buffer  bool   // the filter gave a buffer
	stable  bool   // all rounds of a storm ended alike
}

func toResult(fields map[string]string) result {
	verdict, _ := strconv.Atoi(fields["verdict"])
	return result{
		verdict: verdict,
		out:     unhex(fields["out"]),
		buffer:  fields["buffer"] == "1",
		stable:  fields["stable"] == "1",
	}
}

// chunk returns the number under which the host knows a chunk.
func (p *process) chunk(chunk []byte) string {
	p.t.Helper()
	n, ok := p.chunks[string(chunk)]
	if !ok {
		n = p.do("chunk", enhex(chunk)).num("chunk")
		p.chunks[string(chunk)] = n
	}
	return strconv.Itoa(n)
}

func (i instance) filter(tag string, chunk []byte) result {
	i.p.t.Helper()
	n := i.p.chunk(chunk)
	return i.p.checked(toResult(i.p.do("filter", i.id, enhex(tag), n).fields))
}

// coroutine is filter on a stack of stackBytes from malloc.
func (i instance) coroutine(stackBytes int, tag string, chunk []byte) result {
	i.p.t.Helper()
	n := i.p.chunk(chunk)
	return i.p.checked(toResult(i.p.do("coroutine", strconv.Itoa(stackBytes), i.id, enhex(tag), n).fields))
}

// A job is what a thread of a storm does, over and over.
type job struct {
	instance instance
	tag      string
	chunk    []byte
}

// storm runs one host thread for each job, all at once, and returns the last
// result of each.
func (p *process) storm(rounds int, jobs []job) []result {
	p.t.Helper()
	words := []string{"storm", strconv.Itoa(rounds)}
	for _, j := range jobs {
		words = append(words, j.instance.id, enhex(j.tag), p.chunk(j.chunk))
	}
	var results []result
	for _, detail := range p.do(words...).details {
		fields := map[string]string{}
		for _, part := range detail[1:] {
			key, value, _ := strings.Cut(part, "=")
			fields[key] = value
		}
		results = append(results, p.checked(toResult(fields)))
	}
	if len(results) != len(jobs) {
		p.t.Fatalf("%d threads answered, want %d", len(results), len(jobs))
	}
	return results
}

// checked fails the test on a result that no host could take.
func (p *process) checked(r result) result {
	p.t.Helper()
	switch {
	case r.verdict != modified && r.verdict != notouch:
		p.t.Errorf("the filter returned %d, want %d (modified) or %d (notouch)", r.verdict, modified, notouch)
	case r.verdict == notouch && r.buffer:
		p.t.Error("the filter gave a buffer, which the host leaks, and left the chunk as it was")
	case r.verdict == modified && r.buffer != (len(r.out) > 0):
		p.t.Errorf("the filter gave %d bytes; buffer: %v", len(r.out), r.buffer)
	}
	return r
}

// over is the chunk after the filter.
func (r result) over(chunk []byte) []byte {
	if r.verdict == modified {
		return r.out
	}
	return chunk
}

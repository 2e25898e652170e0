package soak

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/forwardserver"
)

// The tags under which route.wat emits records, and how many there are.
const (
	routedTag = "r."
	routes    = 10
)

// A farSide is what routed records arrive at. It stalls when it is told to.
type farSide struct {
	t      *testing.T
	server *forwardserver.Server

	mu      sync.Mutex
	moved   *sync.Cond
	stalled bool
	came    []uint8 // how often each record has come
	distinct, again, kept,
	misrouted int
	first string // what went wrong first
}

func newFarSide(t *testing.T, records int) *farSide {
	t.Helper()
	f := &farSide{t: t, came: make([]uint8, records)}
	f.moved = sync.NewCond(&f.mu)
	var err error
	if f.server, err = forwardserver.Listen(forwardserver.Config{Received: f.receive}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.stall(false)
		f.server.Kill()
	})
	return f
}

func (f *farSide) stall(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stalled = on
	f.moved.Broadcast()
}

func (f *farSide) receive(m forwardserver.Message) forwardserver.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.stalled {
		f.moved.Wait()
	}
	for events := m.Events; len(events) > 0; {
		rest, err := msgp.Skip(events)
		if err != nil {
			f.wrong("tag %s: %v", m.Tag, err)
			break
		}
		n, err := forwardserver.Number(events[:len(events)-len(rest)])
		events = rest
		if err != nil || n < 0 || n >= int64(len(f.came)) {
			f.wrong("tag %s: record %d: %v", m.Tag, n, err)
			continue
		}
		switch {
		case m.Tag == "told":
			f.kept++
		case m.Tag != fmt.Sprint(routedTag, n%routes):
			f.misrouted++
			f.wrong("record %d came under the tag %s", n, m.Tag)
		}
		if f.came[n]++; f.came[n] == 1 {
			f.distinct++
		} else {
			f.again++
			f.wrong("record %d came %d times", n, f.came[n])
		}
	}
	return forwardserver.Acknowledge
}

// missing lists the first ranges of records that have not come, of so many.
func (f *farSide) missing(sent int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	ranges := 0
	for from := 0; from < sent; from++ {
		if f.came[from] > 0 {
			continue
		}
		to := from
		for to+1 < sent && f.came[to+1] == 0 {
			to++
		}
		if ranges++; ranges <= 20 {
			fmt.Fprintf(&b, "%d-%d ", from, to)
		}
		from = to
	}
	fmt.Fprintf(&b, "in %d ranges", ranges)
	return b.String()
}

func (f *farSide) wrong(format string, args ...any) {
	if f.first == "" {
		f.first = fmt.Sprintf(format, args...)
	}
}

func (f *farSide) counts() (distinct, again, kept, misrouted int, first string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.distinct, f.again, f.kept, f.misrouted, f.first
}

// Numbered records are sent to ten tags by a guest, while what they go to stalls again and again, so that the
// emitter fills, and while Fluent Bit is reloaded: each comes once under its own tag, or under the chunk's if
// it was kept, or is counted as dropped.
func TestRoutes(t *testing.T) {
	if len(fluentBits) == 0 {
		t.Skip("*** ROUTES NOT TESTED: no Fluent Bit; set FLUENT_BIT, or have fluent-bit on PATH ***")
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.reloads {
			t.Skip("this Fluent Bit has no way to emit")
		}
		for _, storage := range []string{"memory", "filesystem"} {
			for _, busy := range []string{"keep", "drop", "block 10m"} {
				t.Run(storage+"/"+busy, func(t *testing.T) { route(t, fb, storage, busy) })
			}
		}
	})
}

// routePhases is in how many parts records are sent: in each second one the far side stalls.
const routePhases = 12

func route(t *testing.T, fb fluentBit, storage, busy string) {
	dir := t.TempDir()
	in, err := os.Create(filepath.Join(dir, "in.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	far := newFarSide(t, soakRoutes)
	host, port, _ := strings.Cut(far.server.Address(), ":")
	writeFile(t, filepath.Join(dir, "parsers.conf"), "[PARSER]\n    name json\n    format json\n")
	p := fb.start(t, dir, section("SERVICE", "flush", "0.2", "grace", "60", "log_level", "info",
		"parsers_file", filepath.Join(dir, "parsers.conf"), "storage.path", filepath.Join(dir, "storage"))+
		section("INPUT", "name", "tail", "tag", "told", "path", in.Name(), "parser", "json",
			"db", filepath.Join(dir, "in.db"), "read_from_head", "true", "refresh_interval", "1",
			"buffer_chunk_size", "512K", "buffer_max_size", "2M", "storage.type", storage)+
		section("FILTER", "name", "wasmtime", "match", "told", "wasm_path", guest(t, dir, "route"), "function_name", "filter",
			"emit_tags", routedTag+"*", "emit_on_busy", busy, "emitter_storage.type", storage, "emitter_mem_buf_limit", fmt.Sprint(5*soakRoutes))+
		section("OUTPUT", "name", "forward", "match", "*", "host", host, "port", port, "require_ack_response", "true", "compress", "gzip", "retry_limit", "false"),
		"-e", pluginPath, "-Y")

	a, sent, reloads := newAuthor(1, nil), 0, 0
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("of %d records have not come: %s", sent, far.missing(sent))
		}
	})
	// settled waits until all that was sent has come, or was dropped.
	settled := func() {
		last, progress := -1, time.Now()
		p.until("all records have come", func() bool {
			distinct, _, _, _, _ := far.counts()
			if distinct != last {
				last, progress = distinct, time.Now()
			}
			if busy == "drop" && time.Since(progress) > 3*time.Second { // what was dropped comes no more
				return true
			}
			return distinct == sent
		})
	}
	for phase := range routePhases {
		far.stall(phase%2 == 1)
		reload := phase%4 == 2 // in the midst of records, unless what is dropped then could not be told
		pauses, until := p.pauses(), soakRoutes*(phase+1)/routePhases
		for sent < until {
			var b bytes.Buffer
			for range min(2000, until-sent) {
				b.WriteString(a.write(uint64(sent)))
				b.WriteByte('\n')
				sent++
			}
			if _, err := in.Write(b.Bytes()); err != nil {
				t.Fatal(err)
			}
			if reload && sent < until {
				// What tail has read of a line whose end it has not seen is lost in a reload (4.2.8).
				p.until("tail has read all", func() bool { return p.hasRead(in) })
			}
		}
		if phase%2 == 1 {
			// Memory: until the emitter is full. A file has no bound.
			if storage == "memory" {
				p.until("the emitter is paused", func() bool { return p.pauses() > pauses })
			}
			far.stall(false)
		}
		if reload {
			if busy == "drop" {
				settled()
			}
			reloads++
			p.signal(syscall.SIGHUP)
			p.until(fmt.Sprint("reload ", reloads), func() bool { return p.starts() == reloads+1 })
		}
		settled()
	}
	p.stop()
	distinct, again, kept, misrouted, first := far.counts()
	counted := emissions(t, p.log())
	figures("Fluent Bit %s, %s, %s: %d records to %d tags, %d reloads, %d pauses: %d came, %d of them kept, %d twice, %d under another tag; counted: %+v",
		fb.version, storage, busy, sent, routes, reloads, p.pauses(), distinct, kept, again, misrouted, counted)
	if again > 0 || misrouted > 0 || distinct+counted.dropped != sent || kept != counted.kept || counted.delivered != distinct-kept || counted.looped > 0 {
		t.Errorf("%d records: %d came, %d of them kept, %d twice, %d under another tag; counted: %+v; first: %s",
			sent, distinct, kept, again, misrouted, counted, first)
	}
	if busy != "drop" && counted.dropped > 0 || busy == "drop" && kept > 0 {
		t.Errorf("emit_on_busy %s: %+v", busy, counted)
	}
	if storage == "memory" && busy != "block 10m" && counted.dropped+counted.kept == 0 {
		t.Error("the emitter was never too full")
	}
}

// pauses returns how often the emitter has been paused.
func (p *process) pauses() int {
	p.t.Helper()
	n := 0
	for line := range strings.Lines(p.log()) {
		if strings.Contains(line, "emitter") && strings.Contains(line, " paused (") {
			n++
		}
	}
	return n
}

// An emission is what filters say at their ends of events under other tags.
type emission struct{ delivered, kept, dropped, looped int }

var emitted = regexp.MustCompile(`\((\d+) delivered, (\d+) kept in their chunks, (\d+) dropped, (\d+) looped\)`)

// emissions adds up what the log says.
func emissions(t *testing.T, log string) (sum emission) {
	t.Helper()
	for line := range strings.Lines(log) {
		if !closing.MatchString(line) {
			continue
		}
		if m := emitted.FindStringSubmatch(line); m != nil {
			for i, to := range []*int{&sum.delivered, &sum.kept, &sum.dropped, &sum.looped} {
				n, err := strconv.Atoi(m[i+1])
				if err != nil {
					t.Fatal(err)
				}
				*to += n
			}
		}
	}
	return sum
}

package e2e

import (
	"debug/elf"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// takesEvents says whether this Fluent Bit has what takes events under other tags.
func (fb fluentBit) takesEvents(t *testing.T) bool {
	t.Helper()
	f, err := elf.Open(fb.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == "flb_input_log_append" })
}

func eachThatTakesEvents(t *testing.T, test func(t *testing.T, fb fluentBit)) {
	t.Helper()
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.takesEvents(t) {
			t.Skip("this Fluent Bit does not take events under other tags")
		}
		test(t, fb)
	})
}

// A far is a far side, which notes by tags the numbered records that come.
type far struct {
	t        *testing.T
	address  string
	listener net.Listener
	stall    chan struct{} // nothing is read until it is closed; nil: all is

	mu     sync.Mutex
	byTag  map[string][]int
	counts []int // of folded records
	finals int
}

// newFar starts one, which stalls if it is told to.
func newFar(t *testing.T, stalls bool) *far {
	t.Helper()
	f := &far{t: t, byTag: map[string][]int{}}
	if stalls {
		f.stall = make(chan struct{})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address, f.listener = l.Addr().String(), l
	t.Cleanup(func() {
		f.release()
		f.listener.Close()
	})
	go f.accept(l)
	return f
}

func (f *far) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go f.read(conn)
	}
}

// down has a far side that stalls refuse connections until that is over.
func (f *far) down() { f.listener.Close() }

// read reads messages of the Forward protocol as Fluent Bit writes them: a tag and a list of events.
func (f *far) read(conn net.Conn) {
	defer conn.Close()
	if f.stall != nil {
		<-f.stall
	}
	r := msgp.NewReader(conn)
	for {
		parts, err := r.ReadArrayHeader()
		if err != nil {
			return
		}
		tag, err := r.ReadString()
		if err != nil {
			return
		}
		n, err := r.ReadArrayHeader()
		for i := 0; i < int(n) && err == nil; i++ {
			var event msgp.Raw
			if err = event.DecodeMsg(r); err == nil {
				f.take(tag, event)
			}
		}
		for ; parts > 2 && err == nil; parts-- {
			err = r.Skip()
		}
		if err != nil {
			f.t.Errorf("%s: %v", tag, err)
			return
		}
	}
}

func (f *far) take(tag string, event []byte) {
	events, err := oracle.Unpack(event)
	if err != nil {
		f.t.Error(err)
		return
	}
	body := events[0].Body.(map[string]any)
	f.mu.Lock()
	defer f.mu.Unlock()
	if n, ok := body["count"]; ok {
		f.counts = append(f.counts, number(f.t, n))
		f.finals += number(f.t, body["final"])
		return
	}
	f.byTag[tag] = append(f.byTag[tag], number(f.t, body["n"]))
}

// release ends a stall.
func (f *far) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stall == nil {
		return
	}
	select {
	case <-f.stall:
		return
	default:
		close(f.stall)
	}
	if l, err := net.Listen("tcp", f.address); err == nil { // it was down
		f.listener = l
		go f.accept(l)
	}
}

func number(t *testing.T, v any) int {
	t.Helper()
	n, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil {
		t.Errorf("%v is no number", v)
	}
	return n
}

func (f *far) output(more ...string) []plugin {
	host, port, _ := net.SplitHostPort(f.address)
	return []plugin{{name: "forward", options: append([]string{"match", "*", "host", host, "port", port, "retry_limit", "no_limits"}, more...)}}
}

// received returns how many records have come.
func (f *far) received() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, list := range f.byTag {
		n += len(list)
	}
	return n
}

// sum returns what folded records add up to.
func (f *far) sum() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, count := range f.counts {
		n += count
	}
	return n
}

// check says that of n numbered records each has come once, but for some that are missing: those under out.D
// end in D, and all others have another tag, home.
func (f *far) check(n, missing int, home string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := make([]bool, n)
	came := 0
	for tag, list := range f.byTag {
		for _, i := range list {
			if i < 0 || i >= n || seen[i] {
				f.t.Fatalf("%s: record %d has come twice, or never was", tag, i)
			}
			seen[i] = true
			came++
			if want := fmt.Sprint("out.", i%10); tag != want && tag != home {
				f.t.Fatalf("record %d has come as %s, want %s", i, tag, want)
			}
		}
	}
	if came != n-missing {
		f.t.Errorf("%d records have come, want %d", came, n-missing)
	}
}

// emitted are the counts of the log's last line.
type emitted struct{ emitted, delivered, kept, dropped, looped int }

var emittedLine = regexp.MustCompile(`(\d+) emitted under other tags \((\d+) delivered, (\d+) kept in their chunks, (\d+) dropped, (\d+) looped\)`)

func (p *process) emitted(name string) (e emitted) {
	p.t.Helper()
	line := p.logLine(name+"]", " emitted under other tags (")
	m := emittedLine.FindStringSubmatch(line)
	if m == nil {
		p.t.Fatalf("no counts in the log: %q", line)
	}
	for i, to := range []*int{&e.emitted, &e.delivered, &e.kept, &e.dropped, &e.looped} {
		*to = number(p.t, m[i+1])
	}
	return e
}

// routing is a filter that routes records of a tag.
func routing(t *testing.T, match string, more ...string) plugin {
	return plugin{name: "wasmtime", options: append([]string{
		"match", match, "wasm_path", guest(t, "route"), "function_name", "filter", "emit_tags", "*"}, more...)}
}

// filesystem are options of the service, of a filter and of an output, for emitters with files. At its end Fluent
// Bit up to 3.2 closes the timer of storage_backlog twice (flb_input_collector_pause). A worker of an output that
// opens a socket between the two loses it, and closes the next file of that number: the timer by which the engine ends.
func filesystem(t *testing.T) (service, filter, output []string) {
	return []string{"storage.path", t.TempDir()}, []string{"emitter_storage.type", "filesystem"}, []string{"workers", "0"}
}

// Each record of a chunk goes under the tag that the guest says, whatever the emitter's storage.
func TestRouteToTenTags(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, fb fluentBit) {
		for _, storage := range []string{"memory", "filesystem"} {
			t.Run(storage, func(t *testing.T) {
				var service, options, output []string
				if storage == "filesystem" {
					service, options, output = filesystem(t)
				}
				f := newFar(t, false)
				n := acceptCount
				run := fb.start(t, pipeline{
					service: service,
					inputs:  []plugin{tailInput(linesFile(t, numbered(n)...), "json")},
					filters: []plugin{routing(t, "app", options...)},
					outputs: f.output(output...),
				})
				if code := run.wait(); code != 0 {
					t.Fatal(code)
				}
				poll(t, "all records", func() bool { return f.received() >= n })
				if got, want := run.emitted("wasmtime.0"), (emitted{emitted: n, delivered: n}); got != want {
					t.Errorf("%+v", got)
				}
				if run.logLine(fmt.Sprintf("] %d records: 0 returned, 0 dropped by the guest, %[1]d routed, 0 failed;", n)) == "" {
					t.Error("the last line does not say that they were routed")
				}
				f.check(n, 0, "none")
				if run.logLine("emitter_for_wasmtime.0") == "" {
					t.Error("the emitter has another name")
				}
			})
		}
	})
}

// While the far side reads nothing and the emitter is full, each record is kept, dropped or waits, as
// emit_on_busy says; none is lost without being counted.
func TestStalledFarSide(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, fb fluentBit) {
		for _, c := range []struct {
			onBusy, limit string
			busy          []string // parts of a line of the log that says so
			dropped, kept bool
		}{
			{"keep", "100K", []string{"[ warn]", "events stay under the tag that they came with, which an output has to match: the emitter is busy"}, false, true},
			{"drop", "100K", []string{"[error]", "events for other tags are dropped: the emitter is busy (emit_on_busy drop)"}, true, false},
			{"block 10m", "4M", []string{"pausing tail.0"}, false, false},
			// The far side is down: to one that listens Fluent Bit makes connection after connection.
			{"block 1s", "4M", []string{"[error]", "events for other tags are dropped: the emitter has been busy for longer"}, true, false},
		} {
			t.Run(c.onBusy, func(t *testing.T) {
				f := newFar(t, true)
				if c.onBusy == "block 1s" {
					f.down()
				}
				w := newNumberer(t)
				run := fb.start(t, pipeline{
					service: []string{"scheduler.base", "1", "scheduler.cap", "2"},
					inputs:  []plugin{w.input()},
					filters: []plugin{routing(t, "app", "emit_on_busy", c.onBusy, "emitter_mem_buf_limit", c.limit)},
					outputs: f.output(),
				})
				run.until("a line that says that the emitter is busy", func() bool {
					w.writeLarge(run)
					return run.logLine(c.busy...) != ""
				})
				f.release()
				w.write(1000)
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("%d of %d records received, read: %v", f.received(), w.n, run.position(w))
					}
				})
				if c.onBusy == "block 10m" {
					run.until("all records", func() bool { return f.received() >= w.n })
				}
				run.until("all to be read", func() bool { return run.read(w) })
				run.until("nothing more to come", func() bool { return f.received() > 0 && run.quiet(f) })
				run.stop()
				got := run.emitted("wasmtime.0")
				poll(t, "what was under way", func() bool { return f.received() >= got.delivered+got.kept })
				if got.emitted != w.n || got.delivered+got.kept+got.dropped != w.n || got.looped != 0 ||
					got.dropped > 0 != c.dropped || got.kept > 0 != c.kept || got.delivered == 0 {
					t.Errorf("of %d records: %+v", w.n, got)
				}
				f.check(w.n, got.dropped, "app")
				if home := len(f.byTag["app"]); home != got.kept {
					t.Errorf("%d records have come under their own tag, want %d", home, got.kept)
				}
			})
		}
	})
}

// quiet says whether nothing comes any more.
func (p *process) quiet(f *far) bool {
	for before := -1; ; {
		n := f.received()
		if n == before {
			return true
		}
		before = n
		poll(p.t, "a while", after(25))
	}
}

// after is a condition that holds after it has been looked at so often.
func after(times int) func() bool {
	return func() bool {
		times--
		return times <= 0
	}
}

// A filter that matches what it emits does so once: then the record stays. Filters in a row each do it, and
// where another plugin brings records back, they go round a few times.
func TestLoops(t *testing.T) {
	const n = 500
	eachThatTakesEvents(t, func(t *testing.T, fb fluentBit) {
		pipe := func(t *testing.T, f *far, filters ...plugin) *process {
			t.Helper()
			in := tailInput(linesFile(t, withText(n)...), "json")
			in.options = in.options[:len(in.options)-2] // at an end rewrite_tag loses what it has not passed on
			run := fb.start(t, pipeline{inputs: []plugin{in}, filters: filters, outputs: f.output()})
			run.until("all records", func() bool { return f.received() >= n })
			run.stop()
			return run
		}
		t.Run("itself", func(t *testing.T) {
			f := newFar(t, false)
			run := pipe(t, f, routing(t, "*"))
			if got, want := run.emitted("wasmtime.0"), (emitted{emitted: 2 * n, delivered: n, looped: n}); got != want {
				t.Errorf("%+v", got)
			}
			f.check(n, 0, "none")
			if run.logLine("[ warn]", "events stay under the tag that they came with: they have been through this filter before") == "" {
				t.Error("the log does not say so")
			}
		})
		t.Run("in a row", func(t *testing.T) {
			f := newFar(t, false)
			run := pipe(t, f, routing(t, "app", "config.to", "mid"), routing(t, "mid"))
			for _, name := range []string{"wasmtime.0", "wasmtime.1"} {
				if got, want := run.emitted(name), (emitted{emitted: n, delivered: n}); got != want {
					t.Errorf("%s: %+v", name, got)
				}
			}
			f.check(n, 0, "none")
		})
		t.Run("each other", func(t *testing.T) {
			f := newFar(t, false)
			run := pipe(t, f, routing(t, "app", "config.to", "mid"), routing(t, "mid", "config.to", "app"))
			first, second := run.emitted("wasmtime.0"), run.emitted("wasmtime.1")
			if first.delivered != n || first.looped != n || second.delivered != n {
				t.Errorf("%+v, %+v", first, second)
			}
			f.check(n, 0, "app")
		})
		t.Run("rewrite_tag", func(t *testing.T) {
			if !fb.has("Filters", "rewrite_tag") {
				t.Skip("no rewrite_tag")
			}
			f := newFar(t, false)
			run := pipe(t, f, routing(t, "app", "config.to", "back"),
				plugin{name: "rewrite_tag", options: []string{"match", "back", "rule", "$s ^x$ app false"}})
			got := run.emitted("wasmtime.0")
			if got.looped != n || got.dropped+got.kept > 0 || got.delivered < n || got.delivered > 8*n {
				t.Errorf("%+v", got)
			}
			f.check(n, 0, "app")
		})

		// What ticks emit goes round as often: what comes back is folded again.
		round := func(t *testing.T, filters ...plugin) {
			t.Helper()
			run := fb.start(t, pipeline{
				inputs:  []plugin{{name: "dummy", options: []string{"tag", "app", "dummy", `{"n":1}`, "samples", "5", "rate", "50"}}},
				filters: filters,
				outputs: newFar(t, false).output(),
			})
			run.until("the round to be cut", func() bool {
				return run.logLine("[error]", "events of flb_tick are dropped: what they are made of has come back to this filter again and again") != ""
			})
			run.stop()
			var all emitted
			for i, f := range filters {
				if f.name != "wasmtime" {
					continue
				}
				name := fmt.Sprint("wasmtime.", i)
				if run.logLine(name+"]", " emitted under other tags (") == "" {
					return // now and then the log of Fluent Bit 2.2 lacks its last lines
				}
				e := run.emitted(name)
				all.delivered += e.delivered
				all.dropped += e.dropped
			}
			// The five records are in two windows or three, and each is cut once.
			if all.delivered < 8 || all.delivered > 3*8 || all.dropped == 0 || all.dropped > 3 {
				t.Errorf("%+v", all)
			}
		}
		often := []string{"tick_interval", "100ms"}
		t.Run("ticks, itself", func(t *testing.T) {
			round(t, folding(t, "*", often...))
		})
		t.Run("ticks, each other", func(t *testing.T) {
			round(t, folding(t, "app", append([]string{"config.to", "fold.mid"}, often...)...),
				folding(t, "fold.mid", append([]string{"config.to", "app"}, often...)...))
		})
		t.Run("ticks, rewrite_tag", func(t *testing.T) {
			if !fb.has("Filters", "rewrite_tag") || !fb.has("Filters", "record_modifier") {
				t.Skip("no rewrite_tag")
			}
			round(t, folding(t, "app", often...),
				plugin{name: "record_modifier", options: []string{"match", "fold", "record", "s x"}},
				plugin{name: "rewrite_tag", options: []string{"match", "fold", "rule", "$s ^x$ app false"}})
		})
	})
}

// withText are numbered lines with a member that is text.
func withText(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"n":%d,"s":"x"}`, i))
	}
	return lines
}

// Where records can't go under other tags the start is refused, with the reason; a filter that emits none starts.
func TestEmitRefused(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		refused := func(t *testing.T, p pipeline, parts ...string) {
			t.Helper()
			run := fb.start(t, p)
			if code := run.wait(); code == 0 {
				t.Errorf("exit code %d", code)
			}
			if run.logLine(append(parts, "wasmtime.0", "events can't go under other tags (emit_tags, on_error route): ")...) == "" {
				t.Errorf("no line with %q", parts)
			}
		}
		dummy := []plugin{{name: "dummy", options: []string{"tag", "app"}}}
		if !fb.takesEvents(t) {
			refused(t, pipeline{inputs: dummy, filters: []plugin{routing(t, "app")}}, "does not export flb_input_log_append; 2.2 and later do")
			return
		}
		t.Run("name", func(t *testing.T) {
			refused(t, pipeline{inputs: dummy, filters: []plugin{routing(t, "app", "emitter_name", "dummy.0")}}, "there is an input dummy.0 already", "emitter_name")
		})
		t.Run("names of two", func(t *testing.T) {
			run := fb.start(t, pipeline{inputs: dummy, filters: []plugin{
				routing(t, "app", "emitter_name", "e"), routing(t, "mid", "emitter_name", "e")}})
			if code := run.wait(); code == 0 || run.logLine("wasmtime.1", "filter wasmtime.0, which comes before, has an emitter e already") == "" {
				t.Error(code)
			}
		})
		t.Run("storage", func(t *testing.T) {
			refused(t, pipeline{inputs: dummy, filters: []plugin{routing(t, "app", "emitter_storage.type", "filesystem")}}, "storage.path")
		})
		t.Run("processor", func(t *testing.T) {
			in := dummy[0]
			in.processors = []plugin{routing(t, "app")}
			in.processors[0].options = in.processors[0].options[2:] // without match
			refused(t, pipeline{inputs: []plugin{in}, yaml: true}, "processors")
		})
		t.Run("on_error route in a processor", func(t *testing.T) {
			in := dummy[0]
			in.processors = []plugin{{name: "wasmtime", options: []string{"wasm_path", guest(t, "identity"), "function_name", "filter", "on_error", "route:failed"}}}
			refused(t, pipeline{inputs: []plugin{in}, yaml: true}, "processors")
		})
	})
}

// folding is a filter that counts records of a tag.
func folding(t *testing.T, match string, more ...string) plugin {
	return plugin{name: "wasmtime", options: append([]string{
		"match", match, "wasm_path", guest(t, "fold"), "function_name", "filter", "emit_tags", "fold*,app"}, more...)}
}

// passing is a filter that counts records of a tag, and lets them pass.
func passing(t *testing.T, match string, more ...string) plugin {
	const drops = "(i64.const 1)))\n    (i32.const 0))"
	fold := guests.WAT("fold")
	if !strings.Contains(fold, drops) {
		t.Fatal("the guest drops records in another way")
	}
	path := filepath.Join(t.TempDir(), "passing.wat")
	writeFile(t, path, strings.Replace(fold, drops, "(i64.const 1)))\n    (local.get 4))", 1))
	return plugin{name: "wasmtime", options: append([]string{
		"match", match, "wasm_path", path, "function_name", "filter", "emit_tags", "fold"}, more...)}
}

// Guests are ticked when no records come.
func TestTicks(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, fb fluentBit) {
		f := newFar(t, false)
		run := fb.start(t, pipeline{
			inputs:  []plugin{{name: "dummy", options: []string{"tag", "app", "dummy", `{"n":1}`, "samples", "5", "rate", "50"}}},
			filters: []plugin{folding(t, "app", "tick_interval", "1s")},
			outputs: f.output(),
		})
		run.until("all records, folded", func() bool { return f.sum() >= 5 })
		run.stop()
		if f.sum() != 5 || f.finals != 0 {
			t.Errorf("%v, %d of them at the end", f.counts, f.finals)
		}
	})
}

// However a pipeline ends, what guests hold is handed over, exactly, through filters in a row and with an emitter
// that is paused.
func TestEnds(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, fb fluentBit) {
		n := acceptCount
		for _, storage := range []string{"memory", "filesystem"} {
			var service, options, output []string
			if storage == "filesystem" {
				service, options, output = filesystem(t)
			}
			never := append([]string{"tick_interval", "1h"}, options...)
			t.Run("by itself in "+storage, func(t *testing.T) {
				f := newFar(t, false)
				run := fb.start(t, pipeline{
					service: service,
					inputs:  []plugin{tailInput(linesFile(t, numbered(n)...), "json")},
					filters: []plugin{folding(t, "app", never...)},
					outputs: f.output(output...),
				})
				if code := run.wait(); code != 0 {
					t.Fatal(code)
				}
				poll(t, "the sum", func() bool { return f.sum() >= n })
				if f.sum() != n || f.finals == 0 {
					t.Errorf("%v, want a sum of %d", f.counts, n)
				}
			})
			t.Run("SIGTERM in "+storage, func(t *testing.T) {
				f := newFar(t, false)
				w := newNumberer(t)
				w.write(n)
				run := fb.start(t, pipeline{
					service: service,
					inputs:  []plugin{w.input()},
					filters: []plugin{folding(t, "app", never...), routing(t, "copy", options...)},
					outputs: f.output(output...),
				})
				run.until("all records to be read", func() bool { return run.read(w) })
				run.stop()
				poll(t, "the sum", func() bool { return f.sum() >= n })
				if f.sum() != n {
					t.Errorf("%v, want a sum of %d", f.counts, n)
				}
			})
		}
		for _, order := range []string{"in a row", "in a row backwards"} {
			t.Run(order, func(t *testing.T) {
				f := newFar(t, false)
				filters := []plugin{folding(t, "app", "alias", "first", "tick_interval", "1h", "config.to", "fold.again"),
					folding(t, "fold.again", "alias", "last", "tick_interval", "1h", "config.to", "fold.done")}
				if order == "in a row backwards" {
					slices.Reverse(filters)
				}
				run := fb.start(t, pipeline{
					inputs:  []plugin{tailInput(linesFile(t, numbered(n)...), "json")},
					filters: filters,
					outputs: f.output(),
				})
				if code := run.wait(); code != 0 {
					t.Fatal(code)
				}
				poll(t, "the sum", func() bool { return f.sum() >= 1 })
				if f.finals == 0 || f.sum() < 1 {
					t.Errorf("%v", f.counts)
				}
				// The last one counts what the first has handed over, be that once or more often.
				if line := run.logLine(":last]", " records: "); !strings.Contains(line, fmt.Sprintf("] %d records: ", f.sum())) {
					t.Errorf("%v: %s", f.counts, line)
				}
			})
		}
		// What filters emit at the end, and count once more, comes to an end, long before Fluent Bit would have to.
		for n := range 2 {
			t.Run(fmt.Sprintf("counting what they emit, %d filters", n+1), func(t *testing.T) {
				f := newFar(t, false)
				p := pipeline{
					service: []string{"grace", "600"},
					inputs:  []plugin{{name: "dummy", options: []string{"tag", "app", "dummy", `{"n":1}`, "samples", "3", "rate", "50"}}},
					outputs: f.output(),
				}
				for range n + 1 {
					p.filters = append(p.filters, passing(t, "*", "tick_interval", "1h"))
				}
				run := fb.start(t, p)
				run.until("all records", func() bool { return f.received() >= 3 })
				run.stop()
				counts := func() []int {
					f.mu.Lock()
					defer f.mu.Unlock()
					return slices.Clone(f.counts)
				}
				poll(t, "the count of the first filter", func() bool { return slices.Contains(counts(), 3) })
				if list := counts(); len(list) > 8*(n+1) {
					t.Errorf("%v", list)
				}
				for _, other := range []string{" are lost: ", "pending tasks"} {
					if line := run.logLine(other); line != "" && !strings.Contains(line, "(0 pending tasks)") {
						t.Error(line)
					}
				}
			})
		}
		t.Run("hot reload", func(t *testing.T) {
			if !strings.Contains(fb.help, "enable-hot-reload") {
				t.Skip("no hot reload")
			}
			f := newFar(t, false)
			w := newNumberer(t)
			w.write(n)
			run := fb.start(t, pipeline{
				service: []string{"hot_reload", "on"},
				inputs:  []plugin{w.input()},
				filters: []plugin{folding(t, "app", "tick_interval", "1h")},
				outputs: f.output(),
			})
			refused := 0 // signals that have come before Fluent Bit has noted the end of the last reload
			for i := range 3 {
				run.until("all records to be read", func() bool { return run.read(w) })
				if err := run.cmd.Process.Signal(syscall.SIGHUP); err != nil {
					t.Fatal(err)
				}
				run.until("the sum so far", func() bool {
					if n := strings.Count(run.log.String(), "reloading in progress"); n > refused {
						refused = n
						run.cmd.Process.Signal(syscall.SIGHUP)
					}
					return f.sum() >= n*(i+1)
				})
				w.write(n)
			}
			run.until("all records to be read", func() bool { return run.read(w) })
			run.stop()
			poll(t, "the sum", func() bool { return f.sum() >= w.n })
			if f.sum() != w.n {
				t.Errorf("%v, want a sum of %d", f.counts, w.n)
			}
		})
		t.Run("while the emitter is busy", func(t *testing.T) {
			// What it holds is more than its limit, and the rest waits: all comes out before the end.
			f := newFar(t, true)
			w := newNumberer(t)
			run := fb.start(t, pipeline{
				service: []string{"grace", "20"},
				inputs:  []plugin{w.input()},
				filters: []plugin{routing(t, "app", "emit_on_busy", "block 10m", "emitter_mem_buf_limit", "4M")},
				outputs: f.output(),
			})
			run.until("the emitter to be busy", func() bool {
				w.writeLarge(run)
				return run.logLine("pausing tail.0") != ""
			})
			if err := run.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			// Unless the far side has taken so much that the emitter goes on by itself.
			poll(t, "the last emitter", func() bool {
				return run.logLine("emitter_for_wasmtime.0_end") != "" || run.logLine("resume emitter_for_wasmtime.0") != "" ||
					run.logLine("service has stopped") != ""
			})
			f.release()
			if code := run.wait(); code != 0 {
				t.Error(code)
			}
			got := run.emitted("wasmtime.0")
			if got.dropped+got.kept > 0 || got.delivered != got.emitted {
				t.Errorf("%+v", got)
			}
			poll(t, "all records", func() bool { return f.received() >= got.emitted })
			f.check(got.emitted, 0, "none")
		})
	})
}

// writeLarge writes some more records that fill the buffers of a connection soon, if those before have been read.
func (w *numberer) writeLarge(p *process) {
	w.t.Helper()
	if w.n > 0 && !p.read(w) || w.n > 100_000 {
		return
	}
	var b strings.Builder
	for range 2000 {
		fmt.Fprintf(&b, "{\"n\":%d,\"pad\":%q}\n", w.n, strings.Repeat("x", 500))
		w.n++
	}
	if _, err := w.file.WriteString(b.String()); err != nil {
		w.t.Fatal(err)
	}
}

// read says whether the tail input has read all that has been written: its database has the position.
func (p *process) read(w *numberer) bool {
	info, err := w.file.Stat()
	if err != nil {
		p.t.Fatal(err)
	}
	return p.position(w) == info.Size()
}

// position is how far the process has read the file, by the kernel.
func (p *process) position(w *numberer) (most int64) {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid))
	for _, link := range links {
		if target, err := filepath.EvalSymlinks(link); err != nil || target != w.file.Name() {
			continue
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", p.cmd.Process.Pid, filepath.Base(link)))
		if err != nil {
			continue
		}
		var pos int64
		fmt.Sscanf(string(info), "pos: %d", &pos)
		most = max(most, pos)
	}
	return most
}

package host

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// Families whose hosts take events under other tags.
func eachThatTakesEvents(t *testing.T, test func(t *testing.T, f family)) {
	t.Helper()
	eachFamily(t, func(t *testing.T, f family) {
		if f.number < 210 {
			t.Skip("this host does not take events under other tags")
		}
		test(t, f)
	})
}

// engine is a host that has loaded the filter, on its engine's thread, with an input.
func engine(t *testing.T, f family) (p *process, input string) {
	p = loaded(t, f)
	p.do("engine")
	return p, p.do("input", "tail").fields["input"]
}

// routing is an instance that routes each record by the last digit of its number.
func (p *process) routing(t *testing.T, more settings) instance {
	t.Helper()
	s := settings{"emit_tags": "*"}
	for key, value := range more {
		s[key] = value
	}
	return p.ready(guestFile(t, guests.WAT("route")), function, s)
}

// from filters a chunk of an input.
func (i instance) from(input, tag string, chunk []byte) result {
	i.p.t.Helper()
	return i.p.checked(toResult(i.p.do("from", input, i.id, enhex(tag), i.p.chunk(chunk)).fields))
}

// hostInput is an input of the host.
type hostInput struct {
	number, name, alias  string
	limit, files, paused int
}

func (p *process) inputs() (all []hostInput) {
	p.t.Helper()
	for _, d := range p.do("inputs").details {
		var n [3]int
		for i := range n {
			n[i], _ = strconv.Atoi(d[4+i])
		}
		all = append(all, hostInput{d[1], d[2], d[3], n[0], n[1], n[2]})
	}
	return all
}

// input returns the input of that name.
func (p *process) input(name string) hostInput {
	p.t.Helper()
	for _, in := range p.inputs() {
		if in.name == name || in.alias == name {
			return in
		}
	}
	p.t.Fatalf("no input %s: %+v", name, p.inputs())
	return hostInput{}
}

// taken is what an input has taken: "INPUT TAG: NUMBERS".
func (p *process) taken() (all []string) {
	p.t.Helper()
	for _, d := range p.do("appended").details {
		all = append(all, fmt.Sprintf("%s %s: %s", unhex(d[1]), unhex(d[2]), numbers(p.t, unhex(d[3]))))
	}
	return all
}

// numbers are those of a chunk's records, or their counts.
func numbers(t testing.TB, chunk []byte) string {
	t.Helper()
	events, err := oracle.Unpack(chunk)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range events {
		body := e.Body.(map[string]any)
		if count, ok := body["count"]; ok {
			list = append(list, fmt.Sprintf("count %v final %v", count, body["final"]))
			continue
		}
		list = append(list, fmt.Sprint(body["n"]))
	}
	return strings.Join(list, " ")
}

// checkTaken compares what has been taken.
func (p *process) checkTaken(want ...string) {
	p.t.Helper()
	if got := p.taken(); !slices.Equal(got, want) {
		p.t.Errorf("taken: %q\nwant   %q", got, want)
	}
}

// checkResult compares the numbers that come out of a chunk.
func (p *process) checkResult(r result, want string) {
	p.t.Helper()
	if r.verdict != modified || numbers(p.t, r.out) != want {
		p.t.Errorf("verdict %d: %q, want %q", r.verdict, numbers(p.t, r.out), want)
	}
}

// emissions are the metrics of what was emitted.
func (i instance) checkEmissions(delivered, kept, dropped, looped, held float64) {
	i.p.t.Helper()
	i.p.tick()
	name := i.p.do("name", i.id).fields["name"]
	of := func(result string) string {
		return fmt.Sprintf(`counter fluentbit_wasmtime_emitted_records_total{name=%q,result=%q}`, name, result)
	}
	i.checkMetrics(map[string]any{of("delivered"): delivered, of("kept"): kept, of("dropped"): dropped, of("looped"): looped})
	all := i.metrics()
	if got := all[fmt.Sprintf(`gauge fluentbit_wasmtime_emit_held_bytes{name=%q}`, name)]; got > 0 != (held > 0) {
		i.p.t.Errorf("%v bytes are held", got)
	}
}

// ticksUntil has the host's timers fire until a condition holds.
func (p *process) ticksUntil(what string, condition func() bool) {
	p.t.Helper()
	for end := time.Now().Add(replyTimeout); !condition(); p.tick() {
		if time.Now().After(end) {
			p.t.Fatalf("not within %v: %s", replyTimeout, what)
		}
	}
}

const emitter = "emitter_for_wasmtime.0"

func tens(n int) (want []string) {
	for d := range 10 {
		var list []string
		for i := d; i < n; i += 10 {
			list = append(list, fmt.Sprint(i))
		}
		want = append(want, fmt.Sprintf("%s out.%d: %s", emitter, d, strings.Join(list, " ")))
	}
	return want
}

func TestEmit(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		p, in := engine(t, f)
		i := p.routing(t, settings{"emitter_mem_buf_limit": "2M"})
		if e := p.input(emitter); e.name != "emitter.0" || e.limit != 2_000_000 || e.files != 0 {
			t.Errorf("%+v", e)
		}
		for range 3 {
			p.checkResult(i.from(in, "app", numberedChunk(20)), "")
			p.checkTaken(tens(20)...)
		}
		i.checkEmissions(60, 0, 0, 0, 0)
		records := func(outcome string) string {
			return fmt.Sprintf(`counter fluentbit_wasmtime_records_total{name="wasmtime.0",outcome=%q}`, outcome)
		}
		i.checkMetrics(map[string]any{records("routed"): 60.0, records("dropped"): 0.0, records("returned"): 0.0, records("failed"): 0.0})
		if timers, _ := p.tick(); timers != 2 {
			t.Errorf("%d timers", timers)
		}
		i.exit()
		if timers, _ := p.tick(); timers != 0 {
			t.Errorf("%d timers", timers)
		}
	})
}

// What the emitter does not take is kept, dropped or waits.
func TestEmitterIsBusy(t *testing.T) {
	chunk := numberedChunk(12)
	all := "0 1 2 3 4 5 6 7 8 9 10 11"
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		t.Run("keep", func(t *testing.T) {
			p, in := engine(t, f)
			i := p.routing(t, nil)
			e := p.input(emitter).number
			p.do("busy", e, "1")
			p.checkResult(i.from(in, "app", chunk), all)
			p.waitLog(levelWarn, "12 events stay under the tag that they came with, which an output has to match: the emitter is busy")
			p.do("busy", e, "0")
			p.checkResult(i.from(in, "app", chunk), "")
			p.checkTaken(tens(12)...)
			i.checkEmissions(12, 12, 0, 0, 0)
			i.exit()
		})
		// What the guest lets pass stays before what is kept, and an unchanged chunk becomes a changed one.
		t.Run("keep some", func(t *testing.T) {
			p, in := engine(t, f)
			text := strings.Replace(guests.WAT("route"), "(i32.const 0)))\n", "(local.get $record)))\n", 1)
			i := p.ready(guestFile(t, text), function, settings{"emit_tags": "*"})
			if r := i.from(in, "app", chunk); r.verdict != notouch {
				t.Errorf("%+v", r)
			}
			p.checkTaken(tens(12)...)
			p.do("busy", p.input(emitter).number, "1")
			p.checkResult(i.from(in, "app", chunk), all+" "+all)
			i.exit()
		})
		t.Run("drop", func(t *testing.T) {
			p, in := engine(t, f)
			i := p.routing(t, settings{"emit_on_busy": "drop"})
			p.do("busy", p.input(emitter).number, "1")
			p.checkResult(i.from(in, "app", chunk), "")
			p.waitLog(levelError, "12 events for other tags are dropped: the emitter is busy (emit_on_busy drop)")
			i.checkEmissions(0, 0, 12, 0, 0)
			i.exit()
		})
		t.Run("block", func(t *testing.T) {
			p, in := engine(t, f)
			i := p.routing(t, settings{"emit_on_busy": "block 1h"})
			e := p.input(emitter).number
			p.do("busy", e, "1")
			p.checkResult(i.from(in, "app", chunk), "")
			if p.input("tail.0").paused != 0 {
				t.Error("the input is paused while it appends: what it appends may go with it")
			}
			i.checkEmissions(0, 0, 0, 0, 1)
			p.tick()
			if p.input("tail.0").paused != 1 {
				t.Error("the input goes on")
			}
			p.do("busy", e, "0")
			// What has waited goes first.
			p.checkResult(i.from(in, "app", numberedChunk(1)), "")
			p.checkTaken(append(tens(12), emitter+" out.0: 0")...)
			p.tick()
			if p.input("tail.0").paused != 0 {
				t.Error("the input is paused")
			}
			i.checkEmissions(13, 0, 0, 0, 0)
			i.exit()
		})
		t.Run("block, beyond the limit", func(t *testing.T) {
			p, in := engine(t, f)
			i := p.routing(t, settings{"emit_on_busy": "block 1h", "emitter_mem_buf_limit": "65536"})
			p.do("busy", p.input(emitter).number, "1")
			var kept, waits int
			for range 300 {
				r := i.from(in, "app", chunk)
				if got := numbers(t, r.out); got == all {
					kept++
				} else if got == "" {
					waits++
				} else {
					t.Fatal(got)
				}
			}
			if kept == 0 || waits < 20 {
				t.Errorf("%d chunks kept, %d wait", kept, waits)
			}
			i.checkEmissions(0, float64(12*kept), 0, 0, 1)
			p.do("busy", p.input(emitter).number, "0")
			p.tick()
			if n := len(p.taken()); n != 10*waits {
				t.Errorf("%d were taken", n)
			}
			i.exit()
		})
		t.Run("block, for too long", func(t *testing.T) {
			p, in := engine(t, f)
			i := p.routing(t, settings{"emit_on_busy": "block 1ms"})
			e := p.input(emitter).number
			p.do("busy", e, "1")
			p.checkResult(i.from(in, "app", chunk), "")
			p.ticksUntil("they are dropped", func() bool {
				return i.metrics()[`counter fluentbit_wasmtime_emitted_records_total{name="wasmtime.0",result="dropped"}`] == 12
			})
			p.waitLog(levelError, "12 events for other tags are dropped: the emitter has been busy for longer than emit_on_busy lets them wait")
			p.do("busy", e, "0")
			p.tick()
			p.checkTaken()
			i.exit()
		})
	})
}

// A failed record that on_error route can't hand over comes out of its chunk with the body that it came with, as on_error
// mark has it, or does not come out: emit_on_busy decides, as of any event.
func TestFailedRecordsWhileBusy(t *testing.T) {
	body := func(n int) map[string]any { return map[string]any{"n": n} }
	failing := body(1)
	failing["trap"], failing["pad"] = true, strings.Repeat("x", 8000)
	before, failed, after := bodiesChunk(body(0)), bodiesChunk(failing), bodiesChunk(body(2))
	chunk := slices.Concat(before, failed, after)
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		start := func(t *testing.T, more settings) (p *process, in string, i instance, kept []byte) {
			p, in = engine(t, f)
			path := guest(t, "trap_when_told")
			marks := p.ready(path, function, settings{"on_error": "mark"})
			marked := marks.from(in, "app", failed)
			marks.exit()
			if marked.verdict != modified {
				t.Fatalf("%+v", marked)
			}
			s := settings{"on_error": "route:failed.$TAG", "alias": "routing", "breaker_failures": "0"}
			for key, value := range more {
				s[key] = value
			}
			i = p.ready(path, function, s)
			return p, in, i, slices.Concat(before, after, marked.out)
		}
		stays := func(t *testing.T, r result, want []byte) {
			t.Helper()
			if diff := oracle.Diff(want, r.out); diff != "" {
				t.Error(diff)
			}
		}
		const emitter, taken = "emitter_for_routing", "emitter_for_routing failed.app: 1"
		t.Run("keep", func(t *testing.T) {
			p, in, i, kept := start(t, nil)
			e := p.input(emitter).number
			p.do("busy", e, "1")
			stays(t, i.from(in, "app", chunk), kept)
			p.waitLog(levelWarn, "1 events stay under the tag that they came with, which an output has to match: the emitter is busy")
			p.do("busy", e, "0")
			p.checkResult(i.from(in, "app", chunk), "0 2")
			p.checkTaken(taken)
			stays(t, i.from(e, "app", chunk), kept) // what comes from its own emitter
			p.checkTaken()
			i.checkEmissions(1, 1, 0, 1, 0)
			i.exit()
		})
		t.Run("drop", func(t *testing.T) {
			p, in, i, _ := start(t, settings{"emit_on_busy": "drop"})
			p.do("busy", p.input(emitter).number, "1")
			p.checkResult(i.from(in, "app", chunk), "0 2")
			p.waitLog(levelError, "1 events for other tags are dropped: the emitter is busy (emit_on_busy drop)")
			i.checkEmissions(0, 0, 1, 0, 0)
			i.exit()
		})
		t.Run("block", func(t *testing.T) {
			p, in, i, _ := start(t, settings{"emit_on_busy": "block 1h"})
			e := p.input(emitter).number
			p.do("busy", e, "1")
			p.checkResult(i.from(in, "app", chunk), "0 2")
			i.checkEmissions(0, 0, 0, 0, 1)
			p.checkTaken()
			p.do("busy", e, "0")
			p.tick()
			p.checkTaken(taken)
			i.checkEmissions(1, 0, 0, 0, 0)
			i.exit()
		})
		t.Run("block, beyond the limit", func(t *testing.T) {
			p, in, i, kept := start(t, settings{"emit_on_busy": "block 1h", "emitter_mem_buf_limit": "64K"})
			p.do("busy", p.input(emitter).number, "1")
			stay, wait := 0, 0
			for range 12 {
				r := i.from(in, "app", chunk)
				if numbers(t, r.out) == "0 2" {
					wait++
					continue
				}
				stay++
				stays(t, r, kept)
			}
			if stay == 0 || wait == 0 {
				t.Errorf("%d stay, %d wait", stay, wait)
			}
			i.checkEmissions(0, float64(stay), 0, 0, 1)
			i.exit()
		})
	})
}

// An input goes on once nothing of it waits in any filter, and when the host lets it.
func TestPausedInputs(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		p, in := engine(t, f)
		i := p.routing(t, settings{"emit_on_busy": "block 1h"})
		j := p.routing(t, settings{"emit_on_busy": "block 1h"})
		emitters := []string{p.input("emitter_for_wasmtime.0").number, p.input("emitter_for_wasmtime.1").number}
		wait := func(k int, i instance) {
			p.do("busy", emitters[k], "1")
			p.checkResult(i.from(in, "app", numberedChunk(2)), "")
			p.tick()
		}
		goOn := func(k int) {
			p.do("busy", emitters[k], "0")
			p.tick()
		}
		paused := func(what string, want int) {
			t.Helper()
			if got := p.input("tail.0").paused; got != want {
				t.Errorf("%s: %d", what, got)
			}
		}
		wait(0, i)
		paused("one waits", 1)
		wait(1, j)
		wait(1, j) // which changes nothing
		paused("both wait", 1)
		goOn(0)
		paused("the other one waits", 1)
		goOn(1)
		paused("nothing waits", 0)

		wait(0, i)
		wait(1, j)
		p.do("resume", in) // what the host paused it for is over
		paused("the host lets it go on", 0)
		wait(0, i)
		paused("something comes all the same", 1)
		goOn(0)
		goOn(1)
		paused("nothing waits any more", 0)

		wait(0, i)
		p.do("busy", in, "1") // it has reached its own limit
		goOn(0)
		paused("the host has paused it, too", 1)
		p.do("busy", in, "0")
		p.do("resume", in)
		paused("the host lets it go on", 0)

		if f.number < 503 {
			return
		}
		wait(0, i)
		p.do("gate", in, "1")
		goOn(0)
		paused("its gate is closed", 1)
		p.do("gate", in, "0")
		p.do("resume", in)
		wait(0, i)
		p.do("gate", in, "2")
		goOn(0)
		paused("its gate may be opened", 0)
		j.exit()
		i.exit()
	})
}

// hoarder emits each record under the tag out, and has its memory grow, so that it is replaced soon; its last tick
// emits a record of 5 MiB.
const hoarder = `(module
  (import "flb_v1" "emit_to" (func $emit (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 200)
  (data (i32.const 16) "out")
  (data (i32.const 2048) "\82\a1n\00\a3pad\db\00\50\00\00")
  (func (export "malloc") (param i32) (result i32) (i32.const 8388608))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (memory.grow (i32.const 20)))
    (drop (call $emit (i32.const 16) (i32.const 3) (local.get 4) (local.get 5) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)))
    (i32.const 0))
  (func (export "flb_tick") (param $flags i32) (result i32)
    (if (local.get $flags) (then (drop
      (call $emit (i32.const 16) (i32.const 3) (i32.const 2048) (i32.const 5242893) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)))))
    (i32.const 0)))`

// Wherever memory for what is emitted is refused, each event is delivered, kept, or counted as dropped.
func TestEmitWithoutMemory(t *testing.T) {
	const all, blocks = 4, 16 // of two records, of the instance that they have replaced, and of the last one
	path := guestFile(t, hoarder)
	for after := range blocks {
		p, in := engine(t, newest)
		i := p.ready(path, function, settings{"emit_tags": "*", "event_format": "msgpack", "tick_interval": "1h", "recycle_memory": "14M", "emitter_mem_buf_limit": "100M"})
		p.takeLogs()
		p.do("deny", fmt.Sprint(after), "4000000")
		first := i.from(in, "app", numberedChunk(1))
		second := i.from(in, "app", numberedChunk(1))
		p.do("deny", "0", "0")
		p.do("ending")
		p.tick()
		var delivered, kept int
		for _, d := range p.do("appended").details {
			delivered += len(strings.Fields(numbers(t, unhex(d[3]))))
		}
		for _, r := range []result{first, second} {
			if r.verdict == modified && len(r.out) > 0 {
				kept += len(strings.Fields(numbers(t, r.out)))
			}
		}
		p.do("shutdown")
		i.exit()
		var log strings.Builder
		lost := 0
		for _, l := range p.takeLogs() {
			fmt.Fprintln(&log, l.text)
			var n int
			if _, text, _ := strings.Cut(l.text, "] "); l.level == levelError {
				if _, err := fmt.Sscanf(text, "%d events for other tags are", &n); err == nil {
					lost += n
				}
			}
		}
		m := regexp.MustCompile(`; (\d+) emitted under other tags \((\d+) delivered, (\d+) kept in their chunks, (\d+) dropped, 0 looped\)`).FindStringSubmatch(log.String())
		if m == nil {
			t.Fatalf("%d: %s", after, log.String())
		}
		var counted [4]int
		for k := range counted {
			counted[k], _ = strconv.Atoi(m[1+k])
		}
		if counted[0] != delivered+kept+lost || counted[1] != delivered || counted[2] != kept || counted[3] != lost {
			t.Errorf("%d: %v, and %d were delivered, %d kept, %d lost\n%s", after, counted, delivered, kept, lost, log.String())
		}
		if after == 0 && delivered == all || after == blocks-1 && delivered < all {
			t.Errorf("%d: %v", after, counted)
		}
	}
}

// Of two waiting events the emitter takes one, and then nothing more: whatever memory is refused meanwhile, that one has
// come once and the other one waits.
func TestEmitterFillsWithoutMemory(t *testing.T) {
	large := func(n, size int) []byte {
		return oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, 1), map[string]any{}, map[string]any{"n": n, "pad": strings.Repeat("x", size)}))
	}
	const blocks = 6
	for after := range blocks {
		p, in := engine(t, newest)
		i := p.routing(t, settings{"emit_on_busy": "block 1h", "emitter_mem_buf_limit": "3M"})
		e := p.input(emitter).number
		p.checkResult(i.from(in, "app", large(0, 2_500_000)), "")
		p.checkTaken(emitter + " out.0: 0")
		p.do("busy", e, "1")
		p.checkResult(i.from(in, "app", append(large(1, 1_000_000), large(2, 1_000_000)...)), "")
		p.do("busy", e, "0")

		p.do("deny", fmt.Sprint(after), "500000")
		p.tick()
		p.do("deny", "0", "0")
		taken := p.taken()
		if after == blocks-1 && len(taken) != 1 {
			t.Errorf("with all memory %q", taken)
		}
		for range 2 { // it takes one a time
			p.do("busy", e, "2")
			p.tick()
			taken = append(taken, p.taken()...)
		}
		slices.Sort(taken) // what was refused memory may come later
		if want := []string{emitter + " out.1: 1", emitter + " out.2: 2"}; !slices.Equal(taken, want) {
			t.Errorf("%d: %q", after, taken)
		}
		i.checkEmissions(3, 0, 0, 0, 0)
		i.exit()
	}
}

// From where the emitter can't be called, events wait for the engine's thread: on a coroutine, and on others.
func TestEmitElsewhere(t *testing.T) {
	chunk := numberedChunk(12)
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		p, _ := engine(t, f)
		i := p.routing(t, nil)
		p.checkResult(i.coroutine(24576, "app", chunk), "")
		p.checkTaken()
		i.checkEmissions(12, 0, 0, 0, 0) // ticks
		p.checkTaken(tens(12)...)

		var jobs []job
		for range 9 {
			jobs = append(jobs, job{i, "app", chunk})
		}
		p.storm(20, jobs)
		p.tick()
		if n := len(p.taken()); n != 9*20*10 {
			t.Errorf("%d were taken, want %d", n, 9*20*10)
		}
		i.checkEmissions(12+9*20*12, 0, 0, 0, 0)

		// Once the emitter is known to be busy, nothing more waits for it.
		e := p.input(emitter).number
		p.do("busy", e, "1")
		p.checkResult(i.filter("app", numberedChunk(1)), "0")
		p.checkResult(i.coroutine(24576, "app", numberedChunk(1)), "0")
		p.do("busy", e, "0")
		i.exit()
	})
}

// A filter gets an event of its own once: from its emitter, and inside of a delivery.
func TestEmitLoops(t *testing.T) {
	chunk := numberedChunk(2)
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		p, in := engine(t, f)
		i := p.routing(t, nil)
		p.checkResult(i.from(p.input(emitter).number, "app", chunk), "0 1")
		p.waitLog(levelWarn, "2 events stay under the tag that they came with: they have been through this filter before")
		p.checkTaken()
		i.checkEmissions(0, 0, 0, 2, 0)

		p.do("within", i.id)
		p.checkResult(i.from(in, "app", chunk), "")
		p.do("within", "-")
		p.checkTaken(emitter+" out.0: 0", emitter+" out.1: 1")
		i.checkEmissions(2, 0, 0, 4, 0)

		// Another filter of the plugin delivers inside of the first one's delivery.
		j := p.routing(t, settings{"config.to": "next"})
		p.do("within", j.id)
		p.checkResult(i.from(in, "app", numberedChunk(1)), "")
		p.do("within", "-")
		p.checkTaken("emitter_for_wasmtime.1 next: 0", emitter+" out.0: 0")

		// What that delivers comes back to the first one.
		p.do("within", j.id, i.id)
		p.checkResult(i.from(in, "app", numberedChunk(1)), "")
		p.do("within", "-")
		p.checkTaken("emitter_for_wasmtime.1 next: 0", emitter+" out.0: 0")
		i.checkEmissions(4, 0, 0, 5, 0)

		// From another plugin's emitter events go on later, with their hops, until these are too many.
		other := p.do("input", "emitter").fields["input"]
		hops := func(n any) []byte {
			m := map[string]any{}
			if n != nil {
				m["wasmtime_hops"] = n
			}
			return oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, 1), m, map[string]any{"n": 7}))
		}
		for n, want := range map[any]int{nil: 1, 1: 2, 6: 7} {
			p.checkResult(i.from(other, "app", hops(n)), "")
			p.checkTaken()
			p.tick()
			details := p.do("appended").details
			if len(details) != 1 || !bytes.Equal(unhex(details[0][3]), hops(want)) {
				t.Errorf("%v hops: %q", n, details)
			}
		}
		p.checkResult(i.from(other, "app", hops(7)), "7")
		p.tick()
		p.checkTaken()
		// What an input has read has come through none, whatever it says.
		p.checkResult(i.from(in, "app", hops(100)), "")
		details := p.do("appended").details
		if want := hops(1); len(details) != 1 || !bytes.Equal(unhex(details[0][3]), want) {
			t.Errorf("%q, want %q", details, want)
		}

		// One without metadata gets some for them.
		body := map[string]any{"n": 7}
		p.checkResult(i.from(other, "app", oracle.Pack(oracle.Legacy(oracle.Timestamp(1700000000, 1), body))), "")
		p.tick()
		details = p.do("appended").details
		if want := hops(1); len(details) != 1 || !bytes.Equal(unhex(details[0][3]), want) {
			t.Errorf("%q, want %q", details, want)
		}
		j.exit()
		i.exit()
	})
}

// folding is an instance that counts records, and emits that at ticks.
func (p *process) folding(t *testing.T, more settings) instance {
	t.Helper()
	s := settings{"emit_tags": "*", "tick_interval": "1h"}
	for key, value := range more {
		s[key] = value
	}
	return p.ready(guestFile(t, guests.WAT("fold")), function, s)
}

// What a tick emits and comes back to its own filter goes round eight times, by the filter's own emitter or by that of
// another plugin; then it is dropped, and the round begins anew with what comes then.
func TestTickLoops(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		p, in := engine(t, f)
		i := p.folding(t, settings{"tick_interval": "1ms"})
		emitters := []string{p.input(emitter).number, p.do("input", "emitter").fields["input"]}
		dropped := func() float64 {
			return i.metrics()[`counter fluentbit_wasmtime_emitted_records_total{name="wasmtime.0",result="dropped"}`]
		}
		for n, from := range emitters {
			p.checkResult(i.from(in, "app", numberedChunk(5)), "")
			for round := range 8 {
				var event []byte
				p.ticksUntil("something is taken", func() bool {
					for _, d := range p.do("appended").details {
						event = append(event, unhex(d[3])...)
					}
					return len(event) > 0
				})
				events, err := oracle.Unpack(event)
				if err != nil || len(events) != 1 {
					t.Fatalf("%x: %v", event, err)
				}
				var header any
				if err := oracle.Value([]byte(events[0].Header), &header); err != nil {
					t.Fatal(err)
				}
				want := fmt.Sprint(round)
				if round == 0 {
					want = "<nil>"
				}
				if hops := header.([]any)[1].(map[string]any)["wasmtime_hops"]; fmt.Sprint(hops) != want {
					t.Errorf("round %d: %v", round, hops)
				}
				p.checkResult(i.from(from, "fold", event), "")
			}
			p.ticksUntil("it is dropped", func() bool { return dropped() == float64(n+1) })
			p.checkTaken()
		}
		p.waitLog(levelError, "1 events of flb_tick are dropped: what they are made of has come back to this filter again and again")
		i.checkEmissions(16, 0, 2, 0, 0)
		i.exit()
	})
}

// passing is a guest that counts records, of the tag app or of all, and lets them pass; it emits that at ticks.
func passing(t *testing.T, onlyApp bool) string {
	t.Helper()
	const add, drop = "(i64.add (global.get $count) ", "\n    (i32.const 0))"
	one := "(i64.const 1)))"
	fold := guests.WAT("fold")
	if !strings.Contains(fold, add+one+drop) {
		t.Fatal("the guest counts or drops records in another way")
	}
	n := one
	if onlyApp {
		n = "(i64.extend_i32_u (i32.eq (local.get 1) (i32.const 3)))))" // by the length of the tag
	}
	return strings.Replace(fold, add+one+drop, add+n+"\n    (local.get 4))", 1)
}

// What comes back and is let pass is in no round: a filter that matches all loses none of its ticks.
func TestTicksThatPass(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		p, _ := engine(t, f)
		i := p.ready(guestFile(t, passing(t, false)), function, settings{"emit_tags": "*", "tick_interval": "1ms"})
		own, event := p.input(emitter).number, numberedChunk(1)
		const rounds = 30
		for range rounds {
			if r := i.from(own, "fold", event); r.verdict != notouch {
				t.Fatalf("verdict %d: %q", r.verdict, r.out)
			}
			event = nil
			p.ticksUntil("something is taken", func() bool {
				for _, d := range p.do("appended").details {
					event = append(event, unhex(d[3])...)
				}
				return len(event) > 0
			})
		}
		i.checkEmissions(rounds, 0, 0, 0, 0)
		i.exit()
	})
}

// Once the host says that it ends, guests hand over what they hold, and all that waits is delivered, by another
// emitter if need be.
func TestEmitAtTheEnd(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		p, in := engine(t, f)
		i := p.folding(t, nil)
		j := p.routing(t, settings{"emit_on_busy": "block 1h"})
		p.checkResult(i.from(in, "app", numberedChunk(5)), "")
		p.tick()
		p.checkTaken()
		p.do("busy", p.input("emitter_for_wasmtime.1").number, "1")
		p.checkResult(j.from(in, "app", numberedChunk(2)), "")

		p.do("ending")
		p.tick()
		p.checkTaken("emitter_for_wasmtime.0 fold: count 5 final 1", "emitter_for_wasmtime.1_end out.0: 0", "emitter_for_wasmtime.1_end out.1: 1")
		if n := p.do("appended").num("flushes"); n != 1 {
			t.Errorf("%d flushes", n)
		}
		p.tick()
		p.checkTaken()
		// What still comes is handed over, too.
		p.checkResult(i.from(in, "app", numberedChunk(3)), "")
		p.tick()
		p.checkTaken("emitter_for_wasmtime.0 fold: count 3 final 1")
		p.do("shutdown")
		i.exit()
		j.exit()
		for _, l := range p.takeLogs() {
			if l.level == levelError {
				t.Error(l.text)
			}
		}
	})
}

// At the end there is a tick for what the last one has emitted, which may be as much again: a filter that matches all,
// and counts what passes, would have no end.
func TestTicksThatPassAtTheEnd(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		settings := settings{"emit_tags": "*", "tick_interval": "1h"}
		t.Run("counted", func(t *testing.T) {
			p, in := engine(t, f)
			i := p.ready(guestFile(t, passing(t, false)), function, settings)
			p.do("within", i.id)
			p.do("ending")
			for round, last := range []float64{8, 16} {
				if r := i.from(in, "app", numberedChunk(3)); r.verdict != notouch {
					t.Fatalf("verdict %d: %q", r.verdict, r.out)
				}
				p.tick()
				p.tick()
				want := []string{emitter + " fold: count 3 final 1"}
				for range 7 {
					want = append(want, emitter+" fold: count 1 final 1")
				}
				p.checkTaken(want...)
				for range 4 {
					p.tick()
				}
				p.checkTaken()
				i.checkEmissions(last, 0, float64(round+1), 0, 0)
			}
			p.waitLog(levelError, "1 events of flb_tick are dropped: what they are made of has come back to this filter again and again")
			p.do("shutdown")
			i.exit()
			for _, l := range p.takeLogs() {
				if strings.Contains(l.text, "are lost") {
					t.Error(l.text)
				}
			}
		})
		// It leaves out what it has emitted: none of what still comes is cut.
		t.Run("left out", func(t *testing.T) {
			p, in := engine(t, f)
			i := p.ready(guestFile(t, passing(t, true)), function, settings)
			p.do("within", i.id)
			p.do("ending")
			const rounds = 20
			for range rounds {
				i.from(in, "app", numberedChunk(2))
				p.tick()
				p.checkTaken(emitter + " fold: count 2 final 1")
			}
			p.do("shutdown")
			i.checkEmissions(rounds, 0, 0, 0, 0)
			i.exit()
		})
	})
}

// However many filters there are, all hand over what they hold.
func TestManyEnd(t *testing.T) {
	const filters = 260
	p, in := engine(t, newest)
	path := guestFile(t, guests.WAT("fold"))
	var all []instance
	for range filters {
		i := p.ready(path, function, settings{"emit_tags": "*", "tick_interval": "1h"})
		p.checkResult(i.from(in, "app", numberedChunk(2)), "")
		all = append(all, i)
	}
	p.do("ending")
	p.tick()
	taken := p.taken()
	for n := range filters {
		if want := fmt.Sprintf("emitter_for_wasmtime.%d fold: count 2 final 1", n); !slices.Contains(taken, want) {
			t.Errorf("not taken: %s", want)
		}
	}
	if len(taken) != filters {
		t.Errorf("%d were taken", len(taken))
	}
	p.do("shutdown")
	for _, i := range all {
		i.exit()
	}
}

// What can't be delivered any more is counted, and told.
func TestEmitTooLate(t *testing.T) {
	p, in := engine(t, newest)
	i := p.folding(t, nil)
	j := p.routing(t, settings{"emit_on_busy": "block 1h"})
	p.do("busy", p.input("emitter_for_wasmtime.1").number, "1")
	p.checkResult(i.from(in, "app", numberedChunk(5)), "")
	p.checkResult(j.from(in, "app", numberedChunk(12)), "")
	p.do("shutdown")
	i.exit()
	j.exit()
	var log strings.Builder
	for _, l := range p.takeLogs() {
		fmt.Fprintln(&log, l.level, l.text)
	}
	for _, want := range []string{
		"1 [filter:wasmtime:wasmtime.0] 1 events for other tags are lost: Fluent Bit ends before it has taken them",
		"1 [filter:wasmtime:wasmtime.1] 12 events for other tags are lost: Fluent Bit ends before it has taken them",
		"12 emitted under other tags (0 delivered, 0 kept in their chunks, 12 dropped, 0 looped)",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no line %q in\n%s", want, log.String())
		}
	}
	p.checkTaken()
}

// Ticks come without records, and what can't be delivered waits.
func TestTicksOfTheHost(t *testing.T) {
	p, in := engine(t, newest)
	i := p.folding(t, settings{"tick_interval": "10ms"})
	p.checkResult(i.from(in, "app", numberedChunk(5)), "")
	untilTaken := func() (got []string) {
		p.ticksUntil("something is taken", func() bool {
			got = p.taken()
			return len(got) > 0
		})
		return got
	}
	if got := untilTaken(); !slices.Equal(got, []string{emitter + " fold: count 5 final 0"}) {
		t.Errorf("%q", got)
	}
	p.do("busy", p.input(emitter).number, "1")
	p.checkResult(i.from(in, "app", numberedChunk(3)), "")
	p.ticksUntil("events wait", func() bool {
		return i.metrics()[`gauge fluentbit_wasmtime_emit_held_bytes{name="wasmtime.0"}`] > 0
	})
	p.checkTaken()
	p.do("busy", p.input(emitter).number, "0")
	if got := untilTaken(); !slices.Equal(got, []string{emitter + " fold: count 3 final 0"}) {
		t.Errorf("%q", got)
	}
	i.exit()
}

// Where the host is not known well enough the start is refused, and nothing is left behind.
func TestEmitRefused(t *testing.T) {
	refused := func(t *testing.T, p *process, s settings, want string) {
		t.Helper()
		all := settings{"wasm_path": guestFile(t, guests.WAT("route")), "function_name": function, "emit_tags": "*"}
		for key, value := range s {
			all[key] = value
		}
		i := p.instance(all)
		before := len(p.inputs())
		if ret := i.init(); ret == 0 {
			t.Error("it starts")
		}
		p.waitLog(levelError, "events can't go under other tags (emit_tags, on_error route): "+want)
		if n := len(p.inputs()); n != before {
			t.Errorf("%d inputs, were %d", n, before)
		}
	}
	eachFamily(t, func(t *testing.T, f family) {
		if f.number < 210 {
			p, _ := engine(t, f)
			refused(t, p, nil, "this Fluent Bit does not export flb_input_log_append; 2.2 and later do")
			p.ready(guest(t, "identity"), function, nil).exit()
			return
		}
		for what, want := range map[string]string{
			"storage": "where this Fluent Bit has its storage is not known",
			"number":  "where this Fluent Bit has its storage is not known",
			"streams": "where this Fluent Bit has its storage is not known",
			"parent":  "where this Fluent Bit has its storage is not known",
			"ints":    "where this Fluent Bit says that it ends is not known",
			"input":   "Fluent Bit can't make the emitter emitter_for_wasmtime.0",
		} {
			t.Run(what, func(t *testing.T) {
				p, _ := engine(t, f)
				p.do("host", what)
				refused(t, p, nil, want)
				p.ready(guest(t, "identity"), function, nil).exit()
			})
		}
		t.Run("others", func(t *testing.T) {
			p, _ := engine(t, f)
			refused(t, p, settings{"emitter_name": "tail.0"}, "there is an input tail.0 already: set emitter_name to another name")
			refused(t, p, settings{"emitter_storage.type": "filesystem"}, "emitter_storage.type filesystem needs storage.path of the service, which is not set")
		})
		t.Run("files", func(t *testing.T) {
			p, _ := engine(t, f)
			p.do("host", "config")
			refused(t, p, settings{"emitter_storage.type": "filesystem"}, "Fluent Bit can't make the emitter emitter_for_wasmtime.0: emitter_storage.type filesystem needs storage.path of the service to be set")
		})
		t.Run("thread", func(t *testing.T) {
			p := loaded(t, f)
			p.do("input", "tail")
			refused(t, p, nil, "this instance does not start on the engine's thread")
		})
		t.Run("processor", func(t *testing.T) {
			p, _ := engine(t, f)
			i := p.instance(settings{"wasm_path": guestFile(t, guests.WAT("route")), "function_name": function, "emit_tags": "*"})
			p.do("processor", i.id)
			if ret := i.init(); ret == 0 {
				t.Error("it starts")
			}
			p.waitLog(levelError, "a filter in processors of an input or output can't do that")
		})
	})
}

// Before a reload a filter is refused whose emitter could not be made after the old pipeline has ended.
func TestPreRunOfEmitters(t *testing.T) {
	eachThatTakesEvents(t, func(t *testing.T, f family) {
		if !f.preRun {
			t.Skip("these hosts don't ask")
		}
		route, identity := guestFile(t, guests.WAT("route")), guest(t, "identity")
		plain := settings{"wasm_path": identity, "function_name": function}
		emits := func(more ...string) settings {
			s := settings{"wasm_path": route, "function_name": function, "emit_tags": "*"}
			for i := 0; i < len(more); i += 2 {
				s[more[i]] = more[i+1]
			}
			return s
		}
		const events = "events can't go under other tags (emit_tags, on_error route): "
		for _, c := range []struct {
			name    string
			host    []string // what is done to it before
			filters []settings
			refusal string // of the last one; "": it would start
		}{
			{"one name", nil, []settings{plain, emits("emitter_name", "em"), plain, emits("emitter_name", "em")},
				"option emitter_name: filter wasmtime.2, which comes before, has an emitter em already: set emitter_name to another name"},
			{"one alias", nil, []settings{emits("alias", "one"), emits("alias", "one")},
				"option emitter_name: filter one, which comes before, has an emitter emitter_for_one already"},
			{"a name and a default", nil, []settings{emits(), emits("emitter_name", "emitter_for_wasmtime.1")},
				"option emitter_name: filter wasmtime.1, which comes before, has an emitter emitter_for_wasmtime.1 already"},
			{"two names", nil, []settings{emits("emitter_name", "em"), emits("emitter_name", "EM")}, ""},
			{"routes", nil, []settings{emits("emitter_name", "em"),
				{"wasm_path": identity, "function_name": function, "on_error": "route:failed", "emitter_name": "em"}},
				"option emitter_name: filter wasmtime.1, which comes before, has an emitter em already"},
			{"not active", nil, []settings{emits("emitter_name", "em", "active", "False"), emits("emitter_name", "em")}, ""},
			{"not active itself", nil, []settings{emits("emitter_name", "em"), emits("emitter_name", "em", "active", "0", "emitter_storage.type", "filesystem")}, ""},
			{"another plugin's", nil, []settings{{"rule": "$n 1 x false", "emitter_name": "em"}, emits("emitter_name", "em")},
				"option emitter_name: filter wasmtime.1, which comes before, has an emitter em already"},
			{"an input", []string{"next", "forward"}, []settings{emits("emitter_name", "forward.0")},
				events + "there is an input forward.0 already: set emitter_name to another name"},
			{"an input of the old pipeline", nil, []settings{emits("emitter_name", "emitter_for_old")}, ""},
			{"no storage", nil, []settings{emits("emitter_storage.type", "filesystem")},
				events + "emitter_storage.type filesystem needs storage.path of the service, which is not set: "},
			{"storage", []string{"storage", "/var/lib/x"}, []settings{emits("emitter_storage.type", "filesystem")}, ""},
			{"storage that is not known", []string{"host", "config"}, []settings{emits("emitter_storage.type", "filesystem")}, ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				p, in := engine(t, f)
				if c.host != nil {
					p.do(c.host...)
				}
				old := p.routing(t, settings{"alias": "old"})
				var last instance
				var ret int
				for n, s := range c.filters {
					last = p.instance(s)
					if s["rule"] != "" {
						p.do("list", last.id) // the host asks its own plugin about it
						continue
					}
					if ret = last.preRun(); ret != 0 && n < len(c.filters)-1 {
						t.Fatalf("filter %d is refused; log: %v", n, p.takeLogs())
					}
				}
				if (ret != 0) != (c.refusal != "") {
					t.Fatalf("%d; log: %v", ret, p.takeLogs())
				}
				if c.refusal != "" {
					p.waitLog(levelError, c.refusal)
				}
				p.checkResult(old.from(in, "app", numberedChunk(1)), "")
				p.checkTaken("emitter_for_old out.0: 0")
				if again := last.preRun(); again != ret {
					t.Errorf("%d, then %d", ret, again)
				}
			})
		}
	})
}

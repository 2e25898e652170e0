package guest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inside is a guest with a malloc that needs nothing, whose function does body and
// answers NULL. own is what it has besides.
func inside(memory, own, body string) string {
	return `(module (memory $m (export "memory") ` + memory + `) ` + own + `
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) ` + body + ` (i32.const 0)))`
}

// NULL is a drop, unless memory was refused to the guest while it ran, for whatever
// reason, and of whichever memory.
func TestNullAfterRefusedGrowth(t *testing.T) {
	grow := func(pages int) string { return fmt.Sprintf("(drop (memory.grow $m (i32.const %d)))", pages) }
	other := func(pages int64) string { return fmt.Sprintf("(drop (memory.grow $o (i64.const %d)))", pages) }
	const second = "(memory $o i64 1 3)"
	// A module with that instruction has a limiter, which hides growths that are refused.
	const tables = "(table $t 1 funcref) (func (export \"t\") (drop (table.grow $t (ref.null func) (i32.const 1))))"
	for _, test := range []struct {
		name, memory, own, body string
		limit                   int64
		want                    [3]Outcome
	}{
		{"no room from the start, by its maximum", "2 2", "", "", 0, [3]Outcome{Drop, Drop, Drop}},
		{"no room from the start, by memory_limit", "2", "", "", 2 * pageBytes, [3]Outcome{Drop, Drop, Drop}},
		{"room", "2", "", grow(1), 0, [3]Outcome{Drop, Drop, Drop}},
		{"room for all of it", "2", "", grow(16000), 0, [3]Outcome{Drop, Drop, Drop}},
		{"full by its maximum", "2 4", "", grow(1), 0, [3]Outcome{Drop, Drop, NoMemory}},
		{"full by memory_limit", "2", "", grow(1), 4 * pageBytes, [3]Outcome{Drop, Drop, NoMemory}},
		{"full by memory_limit that is no whole page", "2", "", grow(1), 5*pageBytes - 1, [3]Outcome{Drop, Drop, NoMemory}},
		{"its maximum is less than memory_limit", "2 4", "", grow(1), 100 * pageBytes, [3]Outcome{Drop, Drop, NoMemory}},

		// Far from full, but more is wanted at once than there may be.
		{"more than memory_limit", "2", "", grow(99), 100 * pageBytes, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"more than its maximum", "2 100", "", grow(99), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"more than any memory", "2", "", grow(65535), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"a second try succeeds", "2 100", "", grow(99) + grow(1), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"a second try succeeds, memory_limit", "2", "", grow(99) + grow(1), 100 * pageBytes, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"a second try fails", "2 100", "", grow(1) + grow(99), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"two tries", "2 100", "", grow(99) + grow(98), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"three tries", "2 100", "", grow(99) + grow(98) + grow(99), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"a try between questions", "2 100", "", grow(0) + grow(99) + grow(0), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},

		{"grown by nothing", "2", "", grow(0), 0, [3]Outcome{Drop, Drop, Drop}},
		{"grown by nothing twice", "2 4", "", grow(0) + grow(0), 0, [3]Outcome{Drop, Drop, Drop}},
		{"grown by nothing and by something", "2", "", grow(0) + grow(1) + grow(0), 0, [3]Outcome{Drop, Drop, Drop}},
		{"grown four times", "2", "", grow(1) + grow(1) + grow(2) + grow(1), 0, [3]Outcome{Drop, Drop, Drop}},

		{"room in another memory", "2", second, other(1), 0, [3]Outcome{Drop, Drop, NoMemory}},
		{"more than another's maximum", "2", second, other(3), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"more than any memory of 64 bits", "2", second, other(1 << 40), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"another, more than memory_limit", "2", "(memory $o i64 1)", other(5), 7 * pageBytes, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"another without a maximum", "2", "(memory $o i64 1)", other(2), 0, [3]Outcome{Drop, Drop, Drop}},
		{"another, grown by nothing", "2", second, other(0), 0, [3]Outcome{Drop, Drop, Drop}},
		{"another, refused and grown", "2", "(memory $o i64 1 100)", other(100) + other(1), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"all memories have the limit together", "2", second, other(1) + grow(1), 5 * pageBytes, [3]Outcome{Drop, NoMemory, NoMemory}},

		{"others are told", "2", "", "(drop (memory.atomic.notify (i32.const 0) (i32.const 1)))", 0, [3]Outcome{Drop, Drop, Drop}},

		{"beside table.grow: room", "2", tables, grow(1), 0, [3]Outcome{Drop, Drop, Drop}},
		{"beside table.grow: more than its maximum", "2 100", tables, grow(99), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"beside table.grow: more than memory_limit", "2", tables, grow(99), 100 * pageBytes, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"beside table.grow: a second try succeeds", "2 100", tables, grow(99) + grow(1), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
		{"beside table.grow: a second try fails", "2 100", tables, grow(1) + grow(99), 0, [3]Outcome{NoMemory, NoMemory, NoMemory}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := instantiate(t, inside(test.memory, test.own, test.body), Config{MemoryLimitBytes: test.limit})
			var b Batch
			defer b.Close()
			var got [3]Outcome
			for i := range got {
				got[i], _ = reply(t, in, &b, []byte(`{"a":1}`), nil)
			}
			if got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// What is refused for one record says nothing about the next, nor what is refused to an
// allocator that finds room all the same.
func TestRefusalIsOfOneCall(t *testing.T) {
	in := instantiate(t, `(module (memory (export "memory") 2 100)
  (func (export "malloc") (param i32) (result i32)
    (drop (memory.grow (i32.const 99))) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.gt_u (local.get 5) (i32.const 2)) (then (drop (memory.grow (i32.const 99)))))
    (i32.const 0)))`, Config{})
	var b Batch
	defer b.Close()
	for i, test := range []struct {
		record string
		want   Outcome
	}{{"{}", Drop}, {"{ }", NoMemory}, {"{}", Drop}, {"{}", Drop}} {
		if outcome, _ := reply(t, in, &b, []byte(test.record), nil); outcome != test.want {
			t.Errorf("record %d: %v, want %v", i, outcome, test.want)
		}
	}
}

// A guest that stops because it has no memory does so in many words of its own; what
// was refused stands behind them.
func TestTrapSaysWhatWasRefused(t *testing.T) {
	const none = "memory.grow"
	grow := func(pages int) string {
		return fmt.Sprintf("(if (i32.eq (memory.grow $m (i32.const %d)) (i32.const -1)) (then unreachable))", pages)
	}
	for name, test := range map[string]struct {
		memory, own, body string
		want, without     string
	}{
		"memory_limit": {"2", "", grow(100), "unreachable code was reached (a panic or abort of the guest), after memory.grow was refused: it has 131072 bytes, and memory_limit is 655360", ""},
		"its maximum":  {"2 4", "", grow(5), "after memory.grow was refused: the maximum of the module's memory does not allow it", ""},
		"nothing":      {"2", "", grow(1) + "unreachable", "unreachable code was reached", none},
		"a wait":       {"2", "", "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))", "atomic wait on non-shared memory", none},
		// wasmtime looks at all memories then.
		"a fault among memories": {"2", "(memory 1) (memory 1) (memory 1)", "(drop (i32.load (i32.const -4)))", "out of bounds memory access", none},
		"a fault after a refusal": {"2", "", "(drop (memory.grow (i32.const 100))) (drop (i32.load (i32.const -4)))",
			"out of bounds memory access, after memory.grow was refused: it has 131072", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := instantiate(t, inside(test.memory, test.own, test.body), Config{MemoryLimitBytes: 10 * pageBytes})
			b := Batch{In: []byte("{}")}
			defer b.Close()
			b.Add(0, 1, 2)
			_, err := in.Run(nil, &b, 0, 1)
			if b.Records[0].Outcome != Trapped || err == nil || !strings.Contains(err.Error(), test.want) ||
				test.without != "" && strings.Contains(err.Error(), test.without) {
				t.Errorf("%v, %v; want %q", b.Records[0].Outcome, err, test.want)
			}
		})
	}
	// The same for what goes before the first record.
	for _, start := range []string{`(func $s `, `(func (export "_initialize") `} {
		m := load(t, strings.Replace(inside("2", start+grow(100)+`)`, ""), "$s "+grow(100)+")", "$s "+grow(100)+") (start $s)", 1))
		_, err := m.NewInstance(Config{Function: "filter", MemoryLimitBytes: 10 * pageBytes})
		if err == nil || !strings.Contains(err.Error(), "after memory.grow was refused: it has 131072 bytes, and memory_limit is 655360") {
			t.Error(err)
		}
	}
}

// Whatever a guest grows, in whichever order, all it has stays within memory_limit, and
// is counted.
func TestMemoryLimitIsOfAll(t *testing.T) {
	const text = `(module
  (memory (export "memory") 2) (memory $b 1) (memory $c i64 0 50) (memory $d 3)
  (table $t 10 funcref) (table $u 1 100 externref)
  ` + answer + `
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $tables i32)
    %s
    (local.set $tables (i32.add (table.size $t) (table.size $u)))
    (call $answer (i32.add (i32.mul (i32.const 65536) (i32.add
      (i32.add (memory.size 0) (memory.size $b)) (i32.add (i32.wrap_i64 (memory.size $c)) (memory.size $d))))
      (i32.mul (i32.const 8) (local.get $tables))))))`
	grow := map[string]string{
		"b": `(loop $l (br_if $l (i32.ne (memory.grow $b (i32.const 1)) (i32.const -1))))`,
		"c": `(loop $l (br_if $l (i64.ne (memory.grow $c (i64.const 7)) (i64.const -1))))`,
		"d": `(loop $l (br_if $l (i32.ne (memory.grow $d (i32.const 3)) (i32.const -1))))`,
		"0": `(loop $l (br_if $l (i32.ne (memory.grow 0 (i32.const 1)) (i32.const -1))))`,
		"t": `(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 64)) (i32.const -1))))`,
		// No growth, but the instruction is there.
		"-": `(if (i32.const 0) (then (drop (table.grow $t (ref.null func) (i32.const 1)))))`,
		"u": `(loop $l (br_if $l (i32.ne (table.grow $u (ref.null extern) (i32.const 1)) (i32.const -1))))`,
	}
	for _, order := range []string{"", "b", "bcd0", "0bcd", "dcb", "tu", "tubcd0", "0dcbut", "ctbu", "-b0", "-0dcb"} {
		const limit = 100 * pageBytes
		var body strings.Builder
		for _, c := range order {
			body.WriteString(grow[string(c)])
		}
		in := instantiate(t, fmt.Sprintf(text, body.String()), Config{Msgpack: true, MemoryLimitBytes: limit})
		has := number(t, in, "{}")
		if has > limit {
			t.Errorf("%s: %d bytes, memory_limit is %d", order, has, limit)
		}
		if free := limit - int(has); strings.ContainsAny(order, "0b") && free > limit/8+2*pageBytes {
			t.Errorf("%s: %d bytes are left, more than is set aside for tables", order, free)
		}
		if !strings.ContainsAny(order, "tu") && in.MemoryBytes() != uint64(has) {
			t.Errorf("%s: %d bytes are counted, it has %d", order, in.MemoryBytes(), has)
		}
	}
}

// An instance is to be replaced for what its memories have in all, the one that is
// exported or not.
func TestRecycleIsOfAll(t *testing.T) {
	in := instantiate(t, inside("2", "(memory $o 1)", "(drop (memory.grow $o (i32.const 4)))"), Config{RecycleMemoryBytes: 12 * pageBytes})
	var b Batch
	defer b.Close()
	for range 4 {
		from := len(b.In)
		b.In = append(b.In, `{}`...)
		b.Add(from, 0, 0)
	}
	// 7, 11 and 15 pages.
	if next, err := in.Run(nil, &b, 0, len(b.Records)); next != 3 || err == nil {
		t.Errorf("next %d, %v", next, err)
	}
}

// What a module has from the start is refused in words if it is too much.
func TestStartsWithTooMuch(t *testing.T) {
	for _, test := range []struct {
		own, want string
		limit     int64
	}{
		{"", "", 2 * pageBytes},
		{"", "needs 131072 bytes from the start (131072 for its memory, 0 for its tables), and memory_limit is 131071", 2*pageBytes - 1},
		{"(memory 3)", "needs 327680 bytes", 4 * pageBytes},
		{"(memory i64 3)", "needs 327680 bytes", 4 * pageBytes},
		{"(table 10000 funcref)", "needs 211072 bytes from the start (131072 for its memory, 80000 for its tables)", 3 * pageBytes},
		{"(table 1000 funcref) (table 200 300 externref)", "", 3 * pageBytes},
		{"(table 1048577 funcref)", "a table of 1048577 elements", 0},
		{strings.Repeat("(table 1 funcref)", 17), "the module has 17 tables", 0},
		{strings.Repeat("(memory 1)", 4), "the module has 5 memories", 0},
		{"(memory 1 2 shared)", "the module has a shared memory", 0},
	} {
		m := load(t, inside("2", test.own, ""))
		in, err := m.NewInstance(Config{Function: "filter", MemoryLimitBytes: test.limit})
		if err == nil {
			in.Close()
		}
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.own, err, test.want)
		}
	}
}

// Where the host has no memory, a growth is refused as any other.
func TestHostHasNoMemory(t *testing.T) {
	if !child(t, "") {
		return
	}
	in := instantiate(t, inside("2", "", "(if (i32.eq (memory.grow (i32.const 30000)) (i32.const -1)) (then unreachable))"), Config{})
	var limit syscall.Rlimit
	const rlimitData = 2
	if err := syscall.Getrlimit(rlimitData, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 1 << 30 // what Go and the guest have is less, 30,000 pages are more
	if err := syscall.Setrlimit(rlimitData, &limit); err != nil {
		t.Fatal(err)
	}
	b := Batch{In: []byte("{}")}
	defer b.Close()
	b.Add(0, 1, 2)
	if _, err := in.Run(nil, &b, 0, 1); err == nil || !strings.Contains(err.Error(), "after memory.grow was refused: the host has no memory") {
		t.Error(err)
	}
}

func TestStorage(t *testing.T) {
	for text, want := range map[string]storage{
		`(module)`:            {},
		`(module (memory 1))`: {Memories: 1, MemoryPages: 1},
		`(module (memory 200 300) (memory i64 7) (memory 0 65536))`: {Memories: 3, MemoryPages: 207},
		`(module (table 5 funcref) (table 200 1000 externref) (memory 1) (table i64 3 funcref))`: {
			Memories: 1, MemoryPages: 1,
			Tables: []table{{Min: 5}, {Min: 200, Max: 1000, Bounded: true}, {Min: 3}},
		},
		`(module (table 5 funcref) (func (drop (table.grow (ref.null func) (i32.const 1)))))`: {Tables: []table{{Min: 5}}, TableGrow: true},
	} {
		wasm, err := toBinary("test.wat", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, storageOf(wasm)); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	for code, want := range map[string]bool{
		"\xfc\x0f": true, "\xfc\x8f\x00": true, "\xfc\x8f\x80\x00": true, "\xfc\x8f\x80\x80\x80\x00": true,
		"\xfc": false, "\xfc\x10": false, "\xfc\x8f\x01": false, "\xfb\x0f": false, "\xfc\xfc\x0f": true, "": false,
	} {
		if got := hasTableGrow([]byte(code)); got != want {
			t.Errorf("% x: %v", code, got)
		}
	}
}

// Sections of modules that nothing has validated yet.
func FuzzStorage(f *testing.F) {
	for _, s := range []string{"", "\x00asm\x01\x00\x00\x00\x04\x04\x01\x70\x00\x05\x05\x03\x01\x00\x01", "\x00asm\x01\x00\x00\x00\x04\xff\xff\xff\xff\x0f\xff\xff\xff\xff\x0f\x64\x80"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		s := storageOf(wasm)
		if len(s.Tables) > len(wasm) || s.Memories > len(wasm) {
			t.Errorf("%d tables, %d memories in %d bytes", len(s.Tables), s.Memories, len(wasm))
		}
		for _, limit := range []uint64{0, 1, 1 << 20, 1 << 63} {
			if list := s.problems(limit); len(list) == 0 && s.budget(limit).tablesRoom > limit {
				t.Errorf("tables may have %d bytes of %d", s.budget(limit).tablesRoom, limit)
			}
		}
	})
}

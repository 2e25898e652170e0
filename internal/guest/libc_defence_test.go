package guest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostcall"
)

// Every function, with every mix of hostile addresses and lengths, on memory that
// ends without a NUL: it answers or traps by one line that names it.
func TestLibcHostileArguments(t *testing.T) {
	l := newLibc(t, "2", Config{MemoryLimitBytes: 4 * pageBytes})
	const end = 2 * pageBytes
	values := []uint32{0, 1, end - 1, end - 4, end, end + 1, 4 * pageBytes, math.MaxInt32, 1 << 31, math.MaxUint32 - 7, math.MaxUint32}
	for _, name := range hostcall.Names(hostcall.Env) {
		params, _, _ := strings.Cut(hostcall.Types(hostcall.Env, name)[0], " -> ")
		n := strings.Count(params, "i32")
		traps := 0
		for mix := range int(math.Pow(float64(len(values)), float64(n))) {
			for i, tail := 0, l.data(); i < 256; i++ {
				tail[len(tail)-1-i] = "%s*d1"[i%5]
			}
			args := make([]any, n)
			for i := range args {
				args[i] = values[mix%len(values)]
				mix /= len(values)
			}
			if _, err := l.call(name, args...); err != nil {
				traps++
				line := err.Error()
				if strings.Contains(line, "\n") || !strings.HasPrefix(line, name) && name != "exit" && name != "__cxa_throw" {
					t.Fatalf("%s%v: %q", name, args, line)
				}
			}
		}
		takesAddress := strings.HasPrefix(name, "str") || strings.HasPrefix(name, "mem") || strings.Contains(name, "printf")
		if takesAddress && traps == 0 {
			t.Errorf("%s never trapped", name)
		}
	}
}

// Where memory ends, by function: the last call that is right, and the first that
// is not.
func TestLibcAtTheEdge(t *testing.T) {
	l := newLibc(t, "2 2", Config{})
	const end = 2 * pageBytes
	outside, endless := "outside the module's memory", "does not end inside the module's memory"
	for _, test := range []struct {
		tail string // the last bytes of memory
		name string
		args []any
		want string // "": no trap
	}{
		{"ab\x00", "strlen", []any{end - 3}, ""},
		{"abc", "strlen", []any{end - 3}, endless},
		{"abc", "strlen", []any{end}, outside},
		{"abc", "strnlen", []any{end - 3, 3}, ""},
		{"abc", "strnlen", []any{end - 3, 4}, endless},
		{"abc", "memcpy", []any{100, end - 3, 3}, ""},
		{"abc", "memcpy", []any{100, end - 3, 4}, outside},
		{"abc", "memcpy", []any{end - 3, 100, 4}, outside},
		{"abc", "memset", []any{end - 3, 0, 4}, outside},
		{"abc", "memchr", []any{end - 3, 'c', 100}, ""},
		{"abc", "memchr", []any{end - 3, 'd', 3}, ""},
		{"abc", "memchr", []any{end - 3, 'd', 4}, endless},
		{"abc", "strchr", []any{end - 3, 'c'}, ""},
		{"abc", "strchr", []any{end - 3, 'd'}, endless},
		{"abc", "strncmp", []any{end - 3, end - 3, 3}, ""},
		{"abc", "strcmp", []any{end - 3, end - 3}, endless},
		{"abc", "strcmp", []any{end - 3, end - 2}, ""},
		{"abc", "strspn", []any{end - 3, end - 3}, endless},
		{"ab\x00", "strstr", []any{end - 3, end - 2}, ""},
		{"abc", "strstr", []any{end - 3, 0}, ""},
		{"abc", "strcpy", []any{100, end - 3}, endless},
		{"abc", "strncpy", []any{100, end - 3, 3}, ""},
		{"abc", "strncpy", []any{100, end - 3, 4}, endless},
		{"abc", "strncpy", []any{end - 3, 0, 4}, outside},
		{"123", "atoi", []any{end - 3}, endless},
		{"12 ", "atoi", []any{end - 3}, ""},
		{"  -", "strtol", []any{end - 3, 0, 10}, endless},
		{" 0x", "strtol", []any{end - 3, 0, 16}, ""}, // ends at the x
		{"1.5", "strtod", []any{end - 3, 0}, endless},
		{"15 ", "strtod", []any{end - 3, end - 3}, outside},
		{"15 ", "strtol", []any{end - 3, end - 3, 10}, outside},
		{"abc", "clock_gettime", []any{0, end - 8}, outside},
		{"ab\x00", "printf", []any{end - 3, math.MaxUint32}, ""}, // no argument is taken
		{"%d\x00", "printf", []any{end - 3, end - 3}, outside},
		{"%d\x00", "printf", []any{end - 3, end - 1}, outside},
		{"%s\x00", "sprintf", []any{end - 1, end - 3, end - 8}, outside},
		{"ab\x00", "sprintf", []any{end - 2, end - 3, 0}, outside},
		{"ab\x00", "sprintf", []any{end - 3, end - 3, 0}, ""},
		{"ab\x00", "snprintf", []any{end - 2, 2, end - 3, 0}, ""},
		{"ab\x00", "snprintf", []any{end - 1, 2, end - 3, 0}, outside},
		{"ab\x00", "snprintf", []any{0, 0, end - 3, 0}, ""},
	} {
		copy(l.data()[end-64:], bytes.Repeat([]byte{0}, 64))
		copy(l.data()[end-len(test.tail):], test.tail)
		_, err := l.call(test.name, test.args...)
		if got := fmt.Sprint(err); (err != nil) != (test.want != "") || !strings.Contains(got, test.want) {
			t.Errorf("%s%v with %q: %v, want %q", test.name, test.args, test.tail, err, test.want)
		}
	}
}

// A needle that looks like the text everywhere but in its middle, across what is
// searched at a time.
func TestStrstrOfMuch(t *testing.T) {
	l := newLibc(t, "100", Config{})
	const text, n = 1 << 20, 5 << 20
	copy(l.data()[text:], bytes.Repeat([]byte("a"), n))
	for _, at := range []int{text + 1<<20 - 2, text + n - 10, text + 2<<20} {
		copy(l.data()[at:], "aaab")
		l.put(100, "aaab")
		if got := l.must("strstr", text, 100); got != uint32(at) {
			t.Errorf("%#x, want %#x", got, at)
		}
		copy(l.data()[at:], "aaaa")
	}
	l.data()[text+n] = 'b'
	l.data()[text+n+1] = 0
	l.put(100, strings.Repeat("a", 500_000)+"b")
	if got := l.must("strstr", text, 100); got != text+n-500_000 {
		t.Errorf("%#x, want %#x", got, text+n-500_000)
	}
}

// sprintf over its own format and arguments ends, inside memory.
func TestPrintfOverlaps(t *testing.T) {
	l := newLibc(t, "2", Config{})
	for at := formatAt - 8; at < formatAt+40; at++ {
		l.put(formatAt, "%s%s%*d%n%s")
		var args varargs
		for _, n := range []int{formatAt, formatAt + 3, 8, 1, formatAt, formatAt - 4} {
			args.i32(uint32(n))
		}
		copy(l.data()[formatAt+14:], args)
		if _, err := l.call("sprintf", at, formatAt, formatAt+16); err != nil && !strings.Contains(err.Error(), "memory") {
			t.Error(err)
		}
	}
}

// What a guest prints beyond the limit is counted and not kept.
func TestPrintfIsLimited(t *testing.T) {
	l := newLibc(t, "40", Config{})
	for i := 1 << 20; i < 2<<20; i++ {
		l.data()[i] = 'x'
	}
	l.put(formatAt, "%s%s")
	var args varargs
	args.i32(1 << 20)
	args.i32(1 << 20)
	copy(l.data()[argsAt:], args)
	l.must("printf", formatAt, argsAt)
	l.must("puts", 1<<20)
	out, _ := l.in.TakeOutput()
	want := fmt.Sprintf("(%d bytes more", 3<<20+1-64<<10)
	if len(out) > 65<<10 || !bytes.Contains(out, []byte(want)) {
		t.Errorf("%d bytes, end with %q", len(out), out[max(0, len(out)-60):])
	}
}

// stoppingLibc runs body for records of more than two bytes.
func stoppingLibc(body string, names ...string) string {
	return libcText("160", `
  (data (i32.const 0) "%s%s%s%s\00")
  (data (i32.const 64) "\00\10\00\00\00\10\00\00\00\10\00\00\00\10\00\00")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.gt_u (local.get 5) (i32.const 2)) (then `+body+`))
    (local.get 4))`, append(names, "malloc")...)
}

// A guest that spends its time in the host's functions is ended there.
func TestLibcTimeout(t *testing.T) {
	const fill = `(memory.fill (i32.const 4096) (i32.const 97) (i32.const 8388608))`
	for name, test := range map[string]struct {
		body  string
		names []string
	}{
		"strlen":  {fill + `(loop $l (drop (call $strlen (i32.const 4096))) (br $l))`, []string{"strlen"}},
		"isalpha": {`(loop $l (drop (call $isalpha (i32.const 97))) (br $l))`, []string{"isalpha"}},
		"heap":    {`(loop $l (call $free (call $malloc (i32.const 97))) (br $l))`, []string{"free"}},
		"printf": {fill + `(loop $l (drop (call $printf (i32.const 0) (i32.const 64))) (br $l))`,
			[]string{"printf"}},
		// One call of half a minute: a million numbers of 4,095 digits.
		"one snprintf": {`(local.set 0 (i32.const 4096))
      (loop $l (i64.store (local.get 0) (i64.const 0x2066353930342e25)) (local.set 0 (i32.add (local.get 0) (i32.const 8)))
        (br_if $l (i32.lt_u (local.get 0) (i32.const 8388608))))
      (loop $m (drop (call $snprintf (i32.const 0) (i32.const 0) (i32.const 4096) (i32.const 64))) (br $m))`,
			[]string{"snprintf"}},
		// Each place looks like the needle.
		"strstr": {`(memory.fill (i32.const 1024) (i32.const 97) (i32.const 10000000))
      (i32.store8 (i32.const 1024) (i32.const 98))
      (i32.store8 (i32.const 1279) (i32.const 0))
      (loop $l (drop (call $strstr (i32.const 2048) (i32.const 1024))) (br $l))`, []string{"strstr"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := load(t, stoppingLibc(test.body, test.names...))
			stopsAtSecond(t, m, Config{Timeout: busyTimeout}, TimedOut, "timeout of 50ms")
		})
	}
}

// The line that the log gets when a guest ends itself or is wrong.
func TestLibcTraps(t *testing.T) {
	for want, test := range map[string]struct {
		body string
		name string
	}{
		"the guest exited with status 7":  {`(call $exit (i32.const 7))`, "exit"},
		"abort was called":                {`(call $abort (i32.const 1))`, "abort"},
		"the guest threw a C++ exception": {`(call $__cxa_throw (i32.const 1) (i32.const 1) (i32.const 1))`, "__cxa_throw"},
		"strlen: the address 0xffffffff with 1 bytes is outside the module's memory":        {`(drop (call $strlen (i32.const -1)))`, "strlen"},
		"puts: what starts at the address 0x9fffff does not end inside the module's memory": {`(i32.store8 (i32.const 0x9fffff) (i32.const 1)) (drop (call $puts (i32.const 0x9fffff)))`, "puts"},
		"memset: the address 0x9ffff0 with 17 bytes is outside the module's memory":         {`(drop (call $memset (i32.const 0x9ffff0) (i32.const 1) (i32.const 17)))`, "memset"},
		"printf: strings of wide characters are not provided":                               {`(i32.store (i32.const 0) (i32.const 0x736c25)) (drop (call $printf (i32.const 0) (i32.const 64)))`, "printf"},
	} {
		// No malloc: the record has a place of its own, behind the guest's pages.
		text := strings.Replace(stoppingLibc(test.body, test.name), `(import "env" "malloc" (func $malloc (param i32)(result i32)))`, "", 1)
		text = strings.Replace(text, `(func (export "call_malloc") (param i32)(result i32) (call $malloc (local.get 0)))`,
			`(func (export "malloc") (param i32) (result i32) (i32.const 8192)) (func (export "free") (param i32))`, 1)
		m := load(t, text)
		stopsAtSecond(t, m, Config{}, Trapped, want)
		in, err := m.NewInstance(Config{Function: "filter"})
		if err != nil {
			t.Fatal(err)
		}
		var b Batch
		b.In = append(b.In, "{ }"...)
		b.Add(0, 0, 0)
		if _, err := in.Run(nil, &b, 0, 1); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
		b.Close()
		in.Close()
	}
}

// Start functions and _initialize have the libc before the host knows memory.
func TestLibcAtStart(t *testing.T) {
	text := libcText("1", `
  (data (i32.const 0) "%d at the start\n\00") (data (i32.const 64) "\2a\00\00\00")
  (global $block (mut i32) (i32.const 0))
  (start $s)
  (func $s (global.set $block (call $malloc (i32.const 16)))
    (drop (call $sprintf (global.get $block) (i32.const 0) (i32.const 64)))
    (drop (call $printf (i32.const 0) (i32.const 64))))
  (func (export "_initialize") (drop (call $printf (i32.const 0) (i32.const 64))))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (global.get $block))`, "malloc", "printf", "sprintf")
	in := instantiate(t, text, Config{})
	if out, _ := in.TakeOutput(); string(out) != "42 at the start\n42 at the start\n" {
		t.Errorf("%q", out)
	}
	var b Batch
	defer b.Close()
	if outcome, got := reply(t, in, &b, []byte("{}"), nil); outcome != Reply || string(got) != "42 at the start\n" {
		t.Errorf("%v %q", outcome, got)
	}
	if _, err := load(t, strings.Replace(text, "(func $s ", "(func $s (drop (call $malloc (i32.const 1))) (drop (call $printf (i32.const -1) (i32.const 0)))", 1)).
		NewInstance(Config{Function: "filter"}); err == nil || !strings.Contains(err.Error(), "printf: the address 0xffffffff") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// Input has a block of the heap that is kept, is replaced by a larger one, and
// is none that the guest gets.
func TestInputInHeap(t *testing.T) {
	in := instantiate(t, libcText("1", answer+`
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ge_u (call $malloc (i32.const 64)) (i32.const 65536)) (then (return (call $answer (local.get 4)))))
    (unreachable))`, "malloc"), Config{Msgpack: true})
	first := number(t, in, "{}")
	if first < pageBytes || first%16 != 0 {
		t.Errorf("at %#x", first)
	}
	if at := number(t, in, "{ }"); at != first {
		t.Errorf("at %#x, then at %#x", first, at)
	}
	large := number(t, in, strings.Repeat("x", 1000))
	if at := number(t, in, strings.Repeat("x", 2000)); large == first || at != large {
		t.Errorf("at %#x, %#x, %#x", first, large, at)
	}
}

// NULL means a drop; after malloc has failed, that there is no memory.
func TestNullAfterMallocFailed(t *testing.T) {
	for _, test := range []struct {
		size int
		want Outcome
	}{{100, Drop}, {math.MaxInt32, NoMemory}} {
		in := instantiate(t, libcText("1", fmt.Sprintf(`
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $malloc (i32.const %d))) (i32.const 0))`, test.size), "malloc"), Config{MemoryLimitBytes: 64 * pageBytes})
		var b Batch
		for range 2 {
			if outcome, _ := reply(t, in, &b, []byte("{}"), nil); outcome != test.want {
				t.Errorf("malloc(%d): %v, want %v", test.size, outcome, test.want)
			}
		}
		b.Close()
	}
	// The heap asks for more than it needs at first, which is not the guest's business.
	enough := instantiate(t, libcText("1", `
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.eqz (i32.mul (call $malloc (i32.const 40000)) (call $malloc (i32.const 40000)))) (then unreachable))
    (i32.const 0))`, "malloc"), Config{MemoryLimitBytes: 3 * pageBytes})
	var one Batch
	defer one.Close()
	if outcome, _ := reply(t, enough, &one, []byte("{}"), nil); outcome != Drop {
		t.Errorf("two blocks in three pages: %v", outcome)
	}
	// The failure of one record is not that of the next.
	each := instantiate(t, libcText("1", `
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $malloc (i32.mul (i32.sub (local.get 5) (i32.const 2)) (i32.const 0x7fffffff)))) (i32.const 0))`, "malloc"), Config{MemoryLimitBytes: 64 * pageBytes})
	for _, record := range []string{"{ }", "{}"} {
		var b Batch
		want := map[string]Outcome{"{ }": NoMemory, "{}": Drop}[record]
		if outcome, _ := reply(t, each, &b, []byte(record), nil); outcome != want {
			t.Errorf("%s: %v, want %v", record, outcome, want)
		}
		b.Close()
	}
	// A record for which there is no room.
	in := instantiate(t, libcText("1", noFilter, "malloc"), Config{MemoryLimitBytes: 3 * pageBytes})
	var b Batch
	defer b.Close()
	for record, want := range map[string]Outcome{"{}": Drop, strings.Repeat("x", 3*pageBytes): NoMemory} {
		if outcome, _ := reply(t, in, &b, []byte(record), nil); outcome != want {
			t.Errorf("%d bytes: %v, want %v", len(record), outcome, want)
		}
	}
}

// Which imports are taken for the libc's, and what is said of the others.
func TestLibcImports(t *testing.T) {
	for _, test := range []struct{ imports, allocator, problem string }{
		{`(import "env" "malloc" (func (param i32) (result i32)))`, "heap", ""},
		{`(import "env" "calloc" (func (param i32 i32) (result i32)))`, "heap", ""},
		{`(import "env" "strlen" (func (param i32) (result i32)))`, "the host grows", ""},
		{`(import "env" "abort" (func))`, "the host grows", ""},
		{`(import "env" "abort" (func (param i32)))`, "the host grows", ""},
		{`(import "env" "abort" (func (param i32 i32 i32 i32)))`, "the host grows", ""},
		{`(import "env" "__cxa_begin_catch" (func (param i32) (result i32)))`, "the host grows", ""},
		{`(import "env" "clock" (func (result i64)))`, "the host grows", ""},
		{`(import "env" "malloc" (func (param i64) (result i32)))`, "the host grows",
			"its type must be func (i32) -> i32"},
		{`(import "env" "abort" (func (param i64)))`, "the host grows",
			"its type must be func (i32) -> () or func () -> ()"},
		{`(import "env" "strlen" (global i32))`, "the host grows", "its type must be"},
		{`(import "env" "system" (func (param i32) (result i32)))`, "the host grows", "link the code that defines this one"},
		{`(import "libc" "malloc" (func (param i32) (result i32)))`, "the host grows", "only functions of wasi_snapshot_preview1"},
	} {
		m := load(t, `(module `+test.imports+`(memory (export "memory") 1)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`)
		p := m.abi(Config{Function: "filter"})
		got := strings.Join(p.problems, "; ")
		if !strings.Contains(got, test.problem) || (got == "") != (test.problem == "") || !strings.Contains(p.allocatorText(), test.allocator) {
			t.Errorf("%s: %q, input %s; want %q, %s", test.imports, got, p.allocatorText(), test.problem, test.allocator)
		}
		in, err := m.NewInstance(Config{Function: "filter"})
		if (err == nil) != (test.problem == "") {
			t.Errorf("%s: %v", test.imports, err)
		}
		if err == nil {
			in.Close()
		}
	}

	// What is imported and exported again is called by the host without a caller.
	in := instantiate(t, `(module (import "env" "malloc" (func $m (param i32) (result i32)))
  (import "env" "free" (func $f (param i32))) (memory (export "memory") 1)
  (export "malloc" (func $m)) (export "free" (func $f))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`, Config{})
	var b Batch
	defer b.Close()
	for range 3 {
		if outcome, got := reply(t, in, &b, []byte(`{"a":1}`), nil); outcome != Reply || string(got) != `{"a":1}` {
			t.Errorf("%v %q", outcome, got)
		}
	}
}

// BenchmarkLibc loops inside a guest, so that what is measured is a call by it.
func BenchmarkLibc(b *testing.B) {
	const calls = 1000
	for _, bench := range []struct{ name, body string }{
		{"nothing", `(drop (i32.load (i32.const 8)))`},
		{"isalpha", `(drop (call $isalpha (i32.const 97)))`},
		{"strlen", `(drop (call $strlen (i32.const 0)))`},
		{"malloc and free", `(call $free (call $malloc (i32.const 100)))`},
		{"sprintf", `(drop (call $sprintf (i32.const 1024) (i32.const 0) (i32.const 64)))`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			in := instantiate(b, libcText("2", fmt.Sprintf(`
  (data (i32.const 0) "{\"a\":%%d,\"b\":\"%%s\"}\00") (data (i32.const 64) "\2a\00\00\00\80\00\00\00")
  (data (i32.const 128) "a string\00")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $i i32)
    (loop $l %s
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const %d))))
    (local.get 4))`, bench.body, calls), "isalpha", "strlen", "malloc", "free", "sprintf"), Config{})
			var batch Batch
			defer batch.Close()
			for b.Loop() {
				batch.Reset()
				batch.In = append(batch.In, "{}"...)
				batch.Add(0, 1, 2)
				if _, err := in.Run(nil, &batch, 0, 1); err != nil && !errors.Is(err, ErrRecycle) {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*calls), "ns/call")
		})
	}
}

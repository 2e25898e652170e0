package guest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest/libctest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostcall"
)

// libc is a module that exports a wrapper of each function of the libc, and whose
// memory the test writes and reads.
type libc struct {
	testing.TB
	in      *Instance
	exports *wasmtime.Instance
	memory  *wasmtime.Memory
}

// libcText imports every function by the first of its types; with names, those. abort is also one
// that AssemblyScript imports.
func libcText(memory, body string, names ...string) string {
	var imports, wrappers strings.Builder
	if names == nil {
		names = slices.Sorted(slices.Values(hostcall.Names(hostcall.Env)))
	}
	for _, name := range names {
		params, result, _ := strings.Cut(strings.TrimPrefix(hostcall.Types(hostcall.Env, name)[0], "func "), " -> ")
		params = strings.Trim(params, "()")
		n := 0
		typ := ""
		if params != "" {
			n = strings.Count(params, ",") + 1
			typ = "(param " + strings.ReplaceAll(params, ",", "") + ")"
		}
		if result != "()" {
			typ += "(result " + result + ")"
		}
		fmt.Fprintf(&imports, "(import \"env\" %q (func $%s %s))\n", name, name, typ)
		fmt.Fprintf(&wrappers, "(func (export \"call_%s\") %s (call $%s", name, typ, name)
		for i := range n {
			fmt.Fprintf(&wrappers, " (local.get %d)", i)
		}
		wrappers.WriteString("))\n")
	}
	return "(module " + imports.String() + `(memory (export "memory") ` + memory + ")\n" + wrappers.String() + body + ")"
}

const noFilter = `(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))`

func newLibc(tb testing.TB, memory string, config Config) *libc {
	tb.Helper()
	return newLibcOf(tb, load(tb, libcText(memory, noFilter)), config)
}

func newLibcOf(tb testing.TB, m *Module, config Config) *libc {
	tb.Helper()
	config.Function = "filter"
	if problems := m.problems(config); problems != nil {
		tb.Fatal(problems)
	}
	in, err := newInstance(m, config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(in.Close)
	if err := in.grant(config); err != nil {
		tb.Fatal(err)
	}
	linker, err := in.linker(m)
	if err != nil {
		tb.Fatal(err)
	}
	defer linker.Close()
	instance, err := in.initialize(linker, m, abi{})
	if err != nil {
		tb.Fatal(err)
	}
	return &libc{tb, in, instance, instance.GetExport(in.store, "memory").Memory()}
}

func (l *libc) data() []byte { return l.memory.UnsafeData(l.in.store) }

// call runs a function of the libc. Its error is the line that the log would get.
func (l *libc) call(name string, args ...any) (any, error) {
	for i, a := range args {
		switch a := a.(type) {
		case int:
			args[i] = int32(uint32(a))
		case uint32:
			args[i] = int32(a)
		}
	}
	v, err := l.exports.GetFunc(l.in.store, "call_"+name).Call(l.in.store, args...)
	if err != nil {
		return nil, &TrapError{Reason: reason(err.Error())}
	}
	return v, nil
}

func (l *libc) must(name string, args ...any) uint32 {
	l.Helper()
	v, err := l.call(name, args...)
	if err != nil {
		l.Fatalf("%s%v: %v", name, args, err)
	}
	n, _ := v.(int32)
	return uint32(n)
}

// put writes a string and its NUL.
func (l *libc) put(at int, s string) {
	copy(l.data()[at:], s)
	l.data()[at+len(s)] = 0
}

func (l *libc) text(at uint32) string {
	s, _, _ := bytes.Cut(l.data()[at:], []byte{0})
	return string(s)
}

// What C says that each function answers and writes. The first string of the
// arguments stands at 1000, the second at 2000; memory is full of '#' elsewhere.
func TestLibc(t *testing.T) {
	l := newLibc(t, "2", Config{})
	type mem = map[int]string
	for _, test := range []struct {
		name string
		args []any
		want any
		mem  mem
	}{
		{"strlen", []any{""}, 0, nil},
		{"strlen", []any{"hello"}, 5, nil},
		{"strnlen", []any{"hello", 3}, 3, nil},
		{"strnlen", []any{"hello", -1}, 5, nil},
		{"strcmp", []any{"abc", "abc"}, 0, nil},
		{"strcmp", []any{"abd", "abc"}, 1, nil},
		{"strcmp", []any{"ab", "abc"}, -1, nil},
		{"strcmp", []any{"\xff", "a"}, 1, nil},
		{"strncmp", []any{"abcx", "abcy", 3}, 0, nil},
		{"strncmp", []any{"abcx", "abcy", 4}, -1, nil},
		{"strncmp", []any{"abc", "abc", -1}, 0, nil},
		{"strcasecmp", []any{"HeLLo", "hEllO"}, 0, nil},
		{"strcasecmp", []any{"a", "B"}, -1, nil},
		{"strcasecmp", []any{"Z", "["}, 1, nil}, // as lower case
		{"strncasecmp", []any{"ABCx", "abcY", 3}, 0, nil},
		{"strncasecmp", []any{"ABCx", "abcY", 4}, -1, nil},
		{"strchr", []any{"hello", 'l'}, 1002, nil},
		{"strchr", []any{"hello", 'z'}, 0, nil},
		{"strchr", []any{"hello", 0}, 1005, nil},
		{"strchr", []any{"hello#", 256 + 'o'}, 1004, nil},
		{"strchr", []any{strings.Repeat("x", 500) + "y", 'y'}, 1500, nil},
		{"strrchr", []any{"hello", 'l'}, 1003, nil},
		{"strrchr", []any{"hello", 'z'}, 0, nil},
		{"strrchr", []any{"hello", 0}, 1005, nil},
		{"strstr", []any{"hello", "ll"}, 1002, nil},
		{"strstr", []any{"hello", "lo#"}, 0, nil},
		{"strstr", []any{"hello", ""}, 1000, nil},
		{"strstr", []any{"", "a"}, 0, nil},
		{"strspn", []any{"aabbc", "ab"}, 4, nil},
		{"strspn", []any{"aabb", "ab"}, 4, nil},
		{"strspn", []any{"aabb", ""}, 0, nil},
		{"strcspn", []any{"aabbc", "cb"}, 2, nil},
		{"strcspn", []any{"aabbc", ""}, 5, nil},
		{"strpbrk", []any{"aabbc", "cb"}, 1002, nil},
		{"strpbrk", []any{"aabbc", "x"}, 0, nil},
		{"strcpy", []any{"12345", "abc"}, 1000, mem{1000: "abc\x005\x00#"}},
		{"stpcpy", []any{"12345", "abc"}, 1003, mem{1000: "abc\x005\x00#"}},
		{"strncpy", []any{"123456789", "abc", 6}, 1000, mem{1000: "abc\x00\x00\x00789"}},
		{"strncpy", []any{"123456789", "abc", 2}, 1000, mem{1000: "ab3456789"}},
		{"strcat", []any{"123", "abc"}, 1000, mem{1000: "123abc\x00#"}},
		{"strncat", []any{"123", "abc", 2}, 1000, mem{1000: "123ab\x00#"}},
		{"strncat", []any{"123", "abc", 9}, 1000, mem{1000: "123abc\x00#"}},
		{"memcpy", []any{"12345", "abc", 2}, 1000, mem{1000: "ab345\x00#"}},
		{"emscripten_memcpy_big", []any{"12345", "abc", 2}, 1000, mem{1000: "ab345\x00#"}},
		{"memmove", []any{1001, 1000, 4}, 1001, mem{1000: "#####"}},
		{"memset", []any{"12345", 'x', 3}, 1000, mem{1000: "xxx45\x00"}},
		{"memcmp", []any{"a\x00c", "a\x00b", 3}, 1, nil},
		{"memcmp", []any{"a\x00c", "a\x00b", 2}, 0, nil},
		{"bcmp", []any{"abc", "abd", 3}, -1, nil},
		{"memchr", []any{"a\x00c", 'c', 3}, 1002, nil},
		{"memchr", []any{"a\x00c", 'c', 2}, 0, nil},
		{"memchr", []any{"a\x00c", 'c', -1}, 1002, nil},

		{"atoi", []any{" \t\n\v\f\r-12x"}, -12, nil},
		{"atoi", []any{"+7"}, 7, nil},
		{"atoi", []any{"x"}, 0, nil},
		{"atol", []any{"2147483647"}, math.MaxInt32, nil},
		{"atoll", []any{"-9223372036854775808"}, int64(math.MinInt64), nil},
		{"strtol", []any{"0x1fz", 5000, 0}, 31, mem{5000: "\xec\x03\x00\x00#"}},
		{"strtol", []any{"0x", 5000, 16}, 0, mem{5000: "\xe9\x03\x00\x00#"}},
		{"strtol", []any{"0xg", 5000, 0}, 0, mem{5000: "\xe9\x03\x00\x00#"}},
		{"strtol", []any{"077", 5000, 0}, 63, mem{5000: "\xeb\x03\x00\x00#"}},
		{"strtol", []any{"zZ", 5000, 36}, 35*36 + 35, mem{5000: "\xea\x03\x00\x00#"}},
		{"strtol", []any{"  - 1", 5000, 10}, 0, mem{5000: "\xe8\x03\x00\x00#"}},
		{"strtol", []any{"12", 5000, 1}, 0, mem{5000: "\xe8\x03\x00\x00#"}},
		{"strtol", []any{"12", 5000, 37}, 0, mem{5000: "\xe8\x03\x00\x00#"}},
		{"strtol", []any{"12", 0, 10}, 12, mem{0: "####"}},
		{"strtol", []any{"2147483648", 0, 10}, math.MaxInt32, nil},
		{"strtol", []any{"-2147483648", 0, 10}, math.MinInt32, nil},
		{"strtol", []any{"-99999999999999999999999", 5000, 10}, math.MinInt32, mem{5000: "\x00\x04\x00\x00#"}},
		{"strtoul", []any{"4294967295", 0, 10}, -1, nil},
		{"strtoul", []any{"-1", 0, 10}, -1, nil},
		{"strtoul", []any{"-4294967296", 0, 10}, -1, nil},
		{"strtoul", []any{"4294967296", 0, 10}, -1, nil},
		{"strtoul", []any{"-2", 0, 10}, -2, nil},
		{"strtoll", []any{"9223372036854775808", 0, 10}, int64(math.MaxInt64), nil},
		{"strtoll", []any{"-0x8000000000000000", 0, 0}, int64(math.MinInt64), nil},
		{"strtoull", []any{"18446744073709551615", 0, 10}, int64(-1), nil},
		{"strtoull", []any{"18446744073709551616", 0, 10}, int64(-1), nil},
		{"strtoull", []any{"-3", 0, 10}, int64(-3), nil},
		{"strtod", []any{" -1.5e3x", 5000}, -1500.0, mem{5000: "\xef\x03\x00\x00#"}},
		{"strtod", []any{"0x1.8p1", 5000}, 3.0, mem{5000: "\xef\x03\x00\x00#"}},
		{"strtod", []any{"1e400", 0}, math.Inf(1), nil},
		{"strtod", []any{"-infinityx", 5000}, math.Inf(-1), mem{5000: "\xf1\x03\x00\x00#"}},
		{"strtod", []any{"e5", 5000}, 0.0, mem{5000: "\xe8\x03\x00\x00#"}},
		{"strtod", []any{"1e+", 5000}, 1.0, mem{5000: "\xe9\x03\x00\x00#"}},
		{"atof", []any{"2.25"}, 2.25, nil},
	} {
		for i := range l.data() {
			l.data()[i] = '#'
		}
		args := slices.Clone(test.args)
		at := 1000
		for i, a := range args {
			switch a := a.(type) {
			case string:
				l.put(at, a)
				args[i] = at
				at += 1000
			case rune:
				args[i] = int(a)
			}
		}
		got, err := l.call(test.name, args...)
		if err != nil {
			t.Errorf("%s%q: %v", test.name, test.args, err)
			continue
		}
		if n, ok := got.(int32); ok && strings.Contains(test.name, "cmp") {
			got = int(max(-1, min(1, n))) // the sign counts
		} else if ok {
			got = int(n)
		}
		if got != test.want {
			t.Errorf("%s%q: %v, want %v", test.name, test.args, got, test.want)
		}
		for at, want := range test.mem {
			if got := string(l.data()[at : at+len(want)]); got != want {
				t.Errorf("%s%q: %q at %d, want %q", test.name, test.args, got, at, want)
			}
		}
	}
}

// The classes of characters, as C defines them for its own locale.
func TestLibcCharacters(t *testing.T) {
	l := newLibc(t, "1", Config{})
	var ascii strings.Builder
	for c := range 128 {
		ascii.WriteByte(byte(c))
	}
	const upper, lower, digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"
	const punct = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	for name, members := range map[string]string{
		"isupper": upper, "islower": lower, "isalpha": upper + lower, "isdigit": digits,
		"isalnum": upper + lower + digits, "isxdigit": digits + "abcdefABCDEF", "isspace": " \t\n\v\f\r",
		"isblank": " \t", "ispunct": punct, "isgraph": upper + lower + digits + punct,
		"isprint": " " + upper + lower + digits + punct, "iscntrl": ascii.String()[:32] + "\x7f",
	} {
		for c := -2; c < 600; c++ {
			want := c >= 0 && c < 128 && strings.IndexByte(members, byte(c)) >= 0
			if got := l.must(name, c) != 0; got != want {
				t.Errorf("%s(%d): %v", name, c, got)
			}
		}
	}
	for c := -2; c < 600; c++ {
		wantUpper, wantLower := c, c
		if c >= 'a' && c <= 'z' {
			wantUpper = c - 32
		} else if c >= 'A' && c <= 'Z' {
			wantLower = c + 32
		}
		if up, low := int(int32(l.must("toupper", c))), int(int32(l.must("tolower", c))); up != wantUpper || low != wantLower {
			t.Errorf("%d: upper %d, lower %d", c, up, low)
		}
	}
}

// Variable arguments as clang lays them out for wasm32.
type varargs []byte

func (v *varargs) align(n int) {
	for len(*v)%n != 0 {
		*v = append(*v, 0xee)
	}
}

func (v *varargs) i32(n uint32) {
	v.align(4)
	*v = binary.LittleEndian.AppendUint32(*v, n)
}

func (v *varargs) i64(n uint64) {
	v.align(8)
	*v = binary.LittleEndian.AppendUint64(*v, n)
}

// f128 is a number that is 0 or normal as a double.
func (v *varargs) f128(f float64) {
	v.align(16)
	b := math.Float64bits(f)
	exponent, fraction := b>>52&0x7ff, b&(1<<52-1)
	switch {
	case exponent == 0x7ff:
		exponent = 0x7fff
	case exponent != 0:
		exponent += 16383 - 1023
	}
	*v = binary.LittleEndian.AppendUint64(*v, fraction<<60)
	*v = binary.LittleEndian.AppendUint64(*v, b>>63<<63|exponent<<48|fraction>>4)
}

const (
	formatAt, argsAt, stringAt, outAt = 1 << 10, 8 << 10, 16 << 10, 64 << 10
)

// sprintf runs all of the family and returns what they agree on.
func (l *libc) sprintf(format string, args varargs) string {
	l.Helper()
	l.put(formatAt, format)
	copy(l.data()[argsAt:], args)
	n := l.must("sprintf", outAt, formatAt, argsAt)
	got := l.text(outAt)
	whole := string(l.data()[outAt : outAt+n+1])
	if whole[n] != 0 {
		l.Errorf("%q: no NUL behind %d bytes", format, n)
	}
	whole = whole[:n]
	if strings.IndexByte(whole, 0) < 0 && got != whole {
		l.Errorf("%q: answers %d, wrote %d", format, n, len(got))
	}
	for _, room := range []uint32{0, 1, n / 2, n, n + 1, math.MaxUint32} {
		area := l.data()[outAt : outAt+n+2]
		for i := range area {
			area[i] = '#'
		}
		if got := l.must("vsnprintf", outAt, room, formatAt, argsAt); got != n {
			l.Errorf("%q: snprintf with room for %d answers %d, want %d", format, room, got, n)
		}
		want := []byte(strings.Repeat("#", int(n)+2))
		if room > 0 {
			k := copy(want, whole[:min(n, room-1)])
			want[k] = 0
		}
		if !bytes.Equal(area, want) {
			l.Errorf("%q: snprintf with room for %d writes %q, want %q", format, room, area, want)
		}
	}
	l.in.TakeOutput()
	if got := l.must("vprintf", formatAt, argsAt); got != n {
		l.Errorf("%q: printf answers %d, want %d", format, got, n)
	}
	if out, _ := l.in.TakeOutput(); string(out) != whole {
		l.Errorf("%q: printf writes %q, want %q", format, out, whole)
	}
	return whole
}

// What the C standard says that these print.
func TestPrintf(t *testing.T) {
	l := newLibc(t, "4", Config{})
	ints := func(n ...int) (v varargs) {
		for _, n := range n {
			v.i32(uint32(n))
		}
		return v
	}
	long := func(n int64) (v varargs) { v.i64(uint64(n)); return v }
	double := func(f float64) (v varargs) { v.i64(math.Float64bits(f)); return v }
	wide := func(f float64) (v varargs) { v.f128(f); return v }
	mixed := func(first int, n int64, then int) (v varargs) {
		v.i32(uint32(first))
		v.i64(uint64(n))
		v.i32(uint32(then))
		return v
	}
	l.put(stringAt, "hello")
	l.put(stringAt+100, strings.Repeat("x", 10_000))
	for _, test := range []struct {
		format string
		args   varargs
		want   string
	}{
		{"", nil, ""},
		{"plain", nil, "plain"},
		{"100%%", nil, "100%"},
		{"%d %i", ints(-5, 7), "-5 7"},
		{"%u", ints(-1), "4294967295"},
		{"%ld %lu %zu %td", ints(-1, -1, -1, -1), "-1 4294967295 4294967295 -1"},
		{"%lld", long(math.MinInt64), "-9223372036854775808"},
		{"%llu %jx", append(long(-1), long(-1)...), "18446744073709551615 ffffffffffffffff"},
		{"%d|%lld|%d", mixed(1, -2, 3), "1|-2|3"},
		{"%hhd %hhu %hd %hu", ints(-129, 257, 32768, 65537), "127 1 -32768 1"},
		{"%5d|%-5d|%05d|%+d|% d", ints(42, 42, 42, 42, 42), "   42|42   |00042|+42| 42"},
		{"%.3d|%.0d|%8.3d", ints(5, 0, -5), "005||    -005"},
		{"%x %X %#x %#o %#x", ints(255, 255, 255, 8, 0), "ff FF 0xff 010 0"},
		{"%*d|%-*d|%*d|%.*d|%.*d", ints(4, 1, 4, 1, -4, 1, 3, 1, -3, 1), "   1|1   |1   |001|1"},
		{"%c%c%3c|%-3c|", ints('a', 'b', 'c', 'd'), "ab  c|d  |"},
		{"a%cb", ints(0), "a\x00b"},
		{"%s|%8s|%-8s|%.2s|%.0s", ints(stringAt, stringAt, stringAt, stringAt, stringAt), "hello|   hello|hello   |he|"},
		{"%.*s|%*s", ints(3, stringAt, 7, stringAt), "hel|  hello"},
		{"%s %.3s", ints(0, 0), "(null) (nu"},
		{"%.9000s", ints(stringAt + 100), strings.Repeat("x", 9000)},
		{"%p %p %12p|%-12p|", ints(0x1234, 0, 0x1234, 0x1234), "0x1234 (nil)       0x1234|0x1234      |"},
		{"%f %.2f %.0f", append(append(double(1.5), double(-2.345)...), double(2.5)...), "1.500000 -2.35 2"},
		{"%e %G", append(double(12345.678), double(1e-10)...), "1.234568e+04 1E-10"},
		{"%g %g", append(double(0.0001), double(1e20)...), "0.0001 1e+20"},
		{"%a", double(1), "0x1p+0"},
		{"%f %F %5.1f", append(append(double(math.Inf(1)), double(math.Inf(-1))...), double(math.Inf(1))...), "inf -INF   inf"},
		{"%010.3f|%+.1e", append(double(3.14159), double(0)...), "000003.142|+0.0e+00"},
		{"%Lf %.10Lg", append(wide(1.5), wide(0.1)...), "1.500000 0.1"},
		{"%#.0f", double(1), "1."},
		{"%'d", ints(1234567), "1234567"},
		{"%y %", nil, "%y %"},
		{"%9000d|", ints(1), strings.Repeat(" ", 4095) + "1|"},
		{"%.9000d", ints(1), strings.Repeat("0", 4095) + "1"},
		{"%99999999999s|", ints(stringAt), strings.Repeat(" ", 4091) + "hello|"},
		{"%*d", ints(math.MinInt32, 1), "1" + strings.Repeat(" ", 4095)},
	} {
		if got := l.sprintf(test.format, test.args); got != test.want {
			t.Errorf("%q: %q, want %q", test.format, got, test.want)
		}
	}

	// The count of bytes so far, by lengths.
	for modifier, n := range map[string]int{"hh": 1, "h": 2, "": 4, "l": 4, "ll": 8, "j": 8} {
		copy(l.data()[512:], "################")
		l.sprintf("12345%"+modifier+"n", ints(512))
		want := "5\x00\x00\x00\x00\x00\x00\x00"[:n] + "################"[n:]
		if got := string(l.data()[512:528]); got != strings.Replace(want, "5", "\x05", 1) {
			t.Errorf("%%%sn: %q", modifier, got)
		}
	}
}

// FuzzPrintf compares what a format of random specifications prints with what
// the host's printf prints for each of them.
func FuzzPrintf(f *testing.F) {
	for i := range 16 {
		seed := make([]byte, 60)
		for k := range seed {
			seed[k] = byte(i*37 + k*k*11)
		}
		f.Add(seed)
	}
	l := newLibc(f, "4", Config{})
	f.Fuzz(func(t *testing.T, data []byte) {
		l.TB = t
		next := func() byte {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return b
		}
		next64 := func() (v uint64) {
			for range 8 {
				v = v<<8 | uint64(next())
			}
			return v
		}
		var format, want strings.Builder
		var args varargs
		strs := stringAt
		for n := 0; len(data) > 0 && n < 12; n++ {
			fields := ""
			flags := next()
			for i, flag := range "-+ #0" {
				if flags>>i&1 != 0 {
					fields += string(flag)
				}
			}
			guest, host := fields, fields
			field := func(b byte, dot string) {
				v := int(int8(b)) * 2
				if b&1 == 0 {
					args.i32(uint32(v))
					guest += dot + "*"
				} else if v < 0 {
					return // nothing
				} else {
					guest += fmt.Sprintf("%s%d", dot, v)
				}
				switch {
				case v >= 0:
					host += fmt.Sprintf("%s%d", dot, v)
				case dot == "":
					host += fmt.Sprintf("-%d", -v)
				}
			}
			if flags&32 != 0 {
				field(next(), "")
			}
			if flags&64 != 0 {
				field(next(), ".")
			}
			kinds := "diuoxXaAeEfFgGcs"
			kind := string(kinds[int(next())%len(kinds)])
			format.WriteString("%" + guest)
			switch {
			case strings.Contains("diuoxX", kind):
				length := []string{"", "hh", "h", "l", "ll", "j", "z", "t"}[next()%8]
				format.WriteString(length + kind)
				v := next64()
				signed := strings.Contains("di", kind)
				if length == "ll" || length == "j" {
					args.i64(v)
				} else {
					args.i32(uint32(v))
					bits := map[string]int{"hh": 8, "h": 16}[length]
					if bits == 0 {
						bits = 32
					}
					v = v << (64 - bits) >> (64 - bits)
					if signed {
						v = uint64(int64(v) << (64 - bits) >> (64 - bits))
					}
				}
				want.WriteString(libctest.Int("%"+host+"ll"+kind, int64(v)))
			case kind == "c":
				format.WriteString(kind)
				c := next()
				args.i32(uint32(c))
				want.WriteString(libctest.Char("%"+host+kind, c))
			case kind == "s":
				format.WriteString(kind)
				text := strings.ReplaceAll(string(data[:min(int(next()%32), len(data))]), "\x00", "x")
				l.put(strs, text)
				args.i32(uint32(strs))
				strs += len(text) + 1
				want.WriteString(libctest.String("%"+host+kind, text))
			default:
				v := math.Float64frombits(next64())
				if next()%4 == 0 && v == v && (v == 0 || math.Abs(v) >= 0x1p-1022) {
					format.WriteString("L" + kind)
					args.f128(v)
					want.WriteString(libctest.LongDouble("%"+host+"L"+kind, v))
				} else {
					format.WriteString(kind)
					args.i64(math.Float64bits(v))
					want.WriteString(libctest.Double("%"+host+kind, v))
				}
			}
			format.WriteString("|")
			want.WriteString("|")
		}
		if got := l.sprintf(format.String(), args); got != want.String() {
			t.Errorf("%q: %q, want %q", format.String(), got, want.String())
		}
	})
}

// heapModel is what a heap has given out and what the blocks must hold.
type heapModel struct {
	*libc
	blocks map[uint32][]byte
	order  []uint32 // to choose from
}

func (h *heapModel) added(what string, at, n uint32, content []byte) {
	h.Helper()
	if at == 0 {
		return
	}
	if at%16 != 0 || uint64(at)+uint64(n) > uint64(len(h.data())) {
		h.Fatalf("%s: %d bytes at %#x, memory has %#x", what, n, at, len(h.data()))
	}
	for other, b := range h.blocks {
		if at < other+uint32(max(len(b), 1)) && other < at+max(n, 1) {
			h.Fatalf("%s: %d bytes at %#x overlap %d at %#x", what, n, at, len(b), other)
		}
	}
	if got := h.data()[at : at+uint32(len(content))]; !bytes.Equal(got, content) {
		h.Fatalf("%s: the block at %#x holds other bytes than before", what, at)
	}
	block := h.data()[at : at+n]
	for i := len(content); i < len(block); i++ {
		block[i] = byte(at>>4) ^ byte(i)
	}
	h.blocks[at] = bytes.Clone(block)
	h.order = append(h.order, at)
}

func (h *heapModel) remove(i int) (at uint32, content []byte) {
	h.Helper()
	at = h.order[i]
	h.order = slices.Delete(h.order, i, i+1)
	content = h.blocks[at]
	delete(h.blocks, at)
	if !bytes.Equal(h.data()[at:int(at)+len(content)], content) {
		h.Fatalf("the block at %#x has changed", at)
	}
	return at, content
}

// steps runs what data says; scribble also writes anywhere, and then only what
// the host promises in any case is checked.
func (h *heapModel) steps(data []byte, scribble bool) {
	r := bytes.NewReader(data)
	number := func() int {
		var b [3]byte
		_, _ = r.Read(b[:])
		n := int(b[1])<<8 | int(b[2])
		return n >> (b[0] % 16) // sizes of every class
	}
	for r.Len() > 0 {
		op, _ := r.ReadByte()
		n := uint32(number())
		var at uint32
		if scribble {
			at = uint32(number()) * 16 % uint32(len(h.data()))
			if op&1 == 0 { // where the heap is
				at = 2*pageBytes + at%pageBytes
			}
		}
		chosen := -1
		if len(h.order) > 0 {
			chosen = number() % len(h.order)
		}
		switch op >> 1 % 8 {
		case 0, 1, 2:
			at := h.must("malloc", n)
			if scribble {
				h.inside("malloc", at, n)
				h.order = append(h.order, at)
			} else {
				h.added("malloc", at, n, nil)
			}
		case 3:
			at := h.must("calloc", n, 3)
			if scribble {
				h.inside("calloc", at, n*3)
			} else {
				h.added("calloc", at, n*3, make([]byte, n*3))
			}
		case 4:
			if scribble {
				h.must("free", at)
			} else if chosen >= 0 {
				at, _ := h.remove(chosen)
				h.must("free", at)
				h.must("free", at) // which the second time is nothing
			}
		case 5:
			if scribble {
				h.inside("realloc", h.must("realloc", at, n), n)
			} else if chosen >= 0 {
				at, content := h.remove(chosen)
				if to := h.must("realloc", at, n); to != 0 {
					h.added("realloc", to, n, content[:min(int(n), len(content))])
				} else {
					h.added("realloc", at, uint32(len(content)), content)
				}
			}
		case 6:
			if scribble && chosen >= 0 {
				// A header that is right, but of another class.
				at := h.order[chosen]
				if at >= 16 && uint64(at) < uint64(len(h.data())) {
					class, check := n%110, uint32(0x55534544)
					if op&1 == 0 {
						check = 0x46524545
					}
					binary.LittleEndian.PutUint32(h.data()[at-16:], class)
					binary.LittleEndian.PutUint32(h.data()[at-12:], (at^check)*0x9e3779b1+class)
					binary.LittleEndian.PutUint32(h.data()[at-8:], uint32(number()*16))
				}
			} else {
				h.must("free", n*16+8) // no block
			}
		default:
			if scribble {
				binary.LittleEndian.PutUint32(h.data()[min(int(at), len(h.data())-4):], n*0x10001)
			} else if _, err := h.exports.GetFunc(h.in.store, "grow").Call(h.in.store, int32(n%2)); err != nil {
				h.Fatal(err)
			}
		}
	}
}

func (h *heapModel) inside(what string, at, n uint32) {
	if at != 0 && uint64(at)+uint64(n) > uint64(len(h.data())) {
		h.Fatalf("%s: %d bytes at %#x, memory has %#x", what, n, at, len(h.data()))
	}
}

func fuzzHeap(f *testing.F, scribble bool) {
	for i := range 8 {
		seed := make([]byte, 400)
		for k := range seed {
			seed[k] = byte((i*151 + k*k*7 + k/3) * 2654435761 >> 5)
		}
		f.Add(seed)
	}
	m := load(f, libcText("2", noFilter))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4000 {
			return
		}
		h := &heapModel{libc: newLibcOf(t, m, Config{MemoryLimitBytes: 24 * pageBytes}), blocks: map[uint32][]byte{}}
		h.steps(data, scribble)
		for len(h.order) > 0 && !scribble {
			h.remove(0)
		}
	})
}

// FuzzHeap: blocks are aligned, inside memory, apart from each other, and keep
// what is in them, whatever the order in which they come and go.
func FuzzHeap(f *testing.F) { fuzzHeap(f, false) }

// FuzzHeapScribbled: a guest that writes over its heap, headers and all, gets
// blocks inside its memory all the same.
func FuzzHeapScribbled(f *testing.F) { fuzzHeap(f, true) }

// Blocks come from pages that the host has added, never from the guest's own.
func TestHeapStaysInItsPages(t *testing.T) {
	l := newLibc(t, "3", Config{})
	grow := func() uint32 {
		n, err := l.exports.GetFunc(l.in.store, "grow").Call(l.in.store, int32(1))
		if err != nil {
			t.Fatal(err)
		}
		return uint32(n.(int32)) * pageBytes
	}
	own := []uint32{0, pageBytes, 2 * pageBytes}
	for i := range 400 {
		if i%50 == 10 {
			own = append(own, grow())
		}
		n := uint32(5000)
		if i%50 == 10 {
			n = 2 << 20
		}
		at := l.must("malloc", n)
		if uint64(at)+uint64(n) > uint64(len(l.data())) {
			t.Fatalf("block %d at %#x is not inside memory", i, at)
		}
		for _, page := range own {
			if at < page+pageBytes && page < at+n {
				t.Fatalf("block %d at %#x is in the guest's page at %#x", i, at, page)
			}
		}
	}
}

// A header may say that a block is larger than memory: it is none then.
func TestHeapForgedHeader(t *testing.T) {
	l := newLibc(t, "2", Config{})
	const class = 107 // of 4 GiB
	for _, state := range []uint32{0x55534544, 0x46524545} {
		at := l.must("malloc", 100)
		forge := func() {
			binary.LittleEndian.PutUint32(l.data()[at-16:], class)
			binary.LittleEndian.PutUint32(l.data()[at-12:], (at^state)*0x9e3779b1+class)
		}
		forge()
		if got := l.must("realloc", at, uint32(3<<30)); got != 0 {
			t.Errorf("realloc: %#x", got)
		}
		forge()
		l.must("free", at)
		if got := l.must("malloc", uint32(math.MaxUint32-100)); got != 0 {
			t.Errorf("malloc: %#x", got)
		}
	}
}

// What is freed is used again, and malloc answers NULL when there is no more.
func TestHeapLimits(t *testing.T) {
	l := newLibc(t, "2", Config{MemoryLimitBytes: 10 * pageBytes})
	if at, other := l.must("malloc", 0), l.must("malloc", 0); at == 0 || at == other {
		t.Errorf("malloc(0): %#x, %#x", at, other)
	}
	for range 1000 {
		l.must("free", l.must("malloc", 100_000))
	}
	first := l.must("malloc", 100_000)
	if first == 0 || len(l.data()) > 5*pageBytes {
		t.Errorf("at %#x, memory has %d pages", first, len(l.data())/pageBytes)
	}
	// 8 pages may be added: growth by less than the next step still finds them.
	n := 1
	for ; l.must("malloc", 60_000) != 0; n++ {
	}
	if n < 6 || len(l.data()) != 10*pageBytes {
		t.Errorf("%d blocks of 60,000 bytes, with %d pages", n, len(l.data())/pageBytes)
	}
	for _, huge := range []int{1 << 20, math.MaxInt32, -1, -16, -17} {
		if at := l.must("malloc", huge); at != 0 {
			t.Errorf("malloc(%d): %#x", uint32(huge), at)
		}
		if at := l.must("realloc", first, huge); at != 0 {
			t.Errorf("realloc to %d: %#x", uint32(huge), at)
		}
	}
	if at := l.must("calloc", 1<<16, 1<<16); at != 0 {
		t.Errorf("calloc of 2^32: %#x", at)
	}
	if at := l.must("calloc", 1<<31, 3); at != 0 {
		t.Errorf("calloc beyond 2^32: %#x", at)
	}
	// A larger block serves if nothing else is left, the one that realloc kept.
	l.must("free", first)
	if at := l.must("malloc", 70_000); at != first {
		t.Errorf("%#x, want %#x", at, first)
	}
	if at := l.must("realloc", 0, 16); at == 0 {
		t.Error("realloc(NULL) is malloc")
	}
	l.put(1000, "a string")
	if at := l.must("strdup", 1000); l.text(at) != "a string" {
		t.Errorf("strdup: %q", l.text(at))
	}
}

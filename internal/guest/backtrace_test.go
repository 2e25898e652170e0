package guest

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// trapOf has a guest called for a record that it stops at.
func trapOf(t *testing.T, m *Module, config Config, record string) *TrapError {
	t.Helper()
	config.Function = "filter"
	in, err := m.NewInstance(config)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	b := Batch{In: []byte(record)}
	defer b.Close()
	b.Add(0, 1, 2)
	_, err = in.Run(nil, &b, 0, 1)
	var trap *TrapError
	if !errors.As(err, &trap) {
		t.Fatalf("want a trap, got %v", err)
	}
	return trap
}

// Functions have the names that the module gives them, and its lines of source if it has DWARF.
func TestBacktraceLines(t *testing.T) {
	for _, file := range []string{"lines4.wasm", "lines5.wasm"} {
		wasm, err := os.ReadFile("testdata/lines/" + file)
		if err != nil {
			t.Fatal(err)
		}
		m := load(t, string(wasm))
		const want = "divide (lines.c:12) <- half (lines.c:17) <- filter (lines.c:23)"
		for range 2 { // the lines are read once
			if got := trapOf(t, m, Config{}, `{"a":1}`).Backtrace(); got != want {
				t.Errorf("%s: %q, want %q", file, got, want)
			}
		}
	}
}

func TestBacktrace(t *testing.T) {
	m := load(t, `(module (memory (export "memory") 1)
  (func $inner (param i32) (if (i32.eq (local.get 0) (i32.const 9)) (then (loop (br 0)))) unreachable)
  (func $"na\1b[31mme" (param i32) (call $inner (local.get 0)))
  (func $deep (param i32) (if (i32.eqz (local.get 0)) (then unreachable)) (call $deep (i32.sub (local.get 0) (i32.const 1))))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.eq (local.get 5) (i32.const 8)) (then (call $deep (i32.const 20))))
    (call $"na\1b[31mme" (local.get 5)) (i32.const 0)))`)
	for record, want := range map[string]string{
		`{"a":1}`:   `inner <- na\x1b[31mme <- <wasm function 3>`,
		`{"a":11}`:  "deep" + strings.Repeat(" <- deep", 7) + " <- …",
		`{"a":111}`: `? <- na\x1b[31mme <- <wasm function 3>`, // a timeout
	} {
		trap := trapOf(t, m, Config{Timeout: 20 * time.Millisecond}, record)
		if got := trap.Backtrace(); got != want {
			t.Errorf("%s: %q, want %q", record, got, want)
		}
		if len(record) == 9 && trap.Kind != "timeout" {
			t.Errorf("%s: %v", record, trap)
		}
	}
}

// A name that would be gigabytes once it is demangled takes no time, and others are demangled.
func TestHostileMangledNames(t *testing.T) {
	// The parameters are templates of which each has the one before it twice.
	hostile := "_Z1f1AIiiE1BIS0_S0_E"
	for i := 2; i < 36; i++ {
		s := strings.ToUpper(strconv.FormatInt(int64(i), 36))
		hostile += "S1_IS" + s + "_S" + s + "_E"
	}
	rust := "_ZN4core" + strings.Repeat("10abcdefghij", 15) + "17h0123456789abcdefE"
	for name, want := range map[string]string{
		hostile:                   "~" + hostile[1:300],
		hostile[2:]:               "~" + hostile[3:300],
		"_ZN3foo3barEv":           "foo::bar()",
		rust:                      "core" + strings.Repeat("::abcdefghij", 15) + "::h0123456789abcdef <-",
		"_RNvCs1234_7mycrate3foo": "mycrate[3c1c0]::foo",
	} {
		// As deep as wasmtime's backtraces are.
		m := load(t, `(module (memory (export "memory") 1)
  (func $"`+name+`" (param i32) (if (i32.eqz (local.get 0)) (then unreachable)) (call $"`+name+`" (i32.sub (local.get 0) (i32.const 1))))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (call $"`+name+`" (i32.const 30)) (i32.const 0)))`)
		start := time.Now()
		got := trapOf(t, m, Config{}, "{}").Backtrace()
		if !strings.HasPrefix(got, want) {
			t.Errorf("%.60s: %.400q, want %.400q", name, got, want)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%.60s: %v", name, took)
		}
	}
}

// debug/dwarf reads the same lines of modules that are well made.
func TestLinesAgainstLibrary(t *testing.T) {
	for _, file := range []string{"lines4.wasm", "lines5.wasm"} {
		wasm, err := os.ReadFile("testdata/lines/" + file)
		if err != nil {
			t.Fatal(err)
		}
		debug := make(map[string][]byte)
		if err := sections(wasm, func(id byte, _, content []byte) error {
			r := wasmReader{rest: content}
			if id == sectionCustom {
				debug[string(r.bytes(r.u32()))] = r.rest
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		data, err := dwarf.New(debug[".debug_abbrev"], nil, nil, debug[".debug_info"], debug[".debug_line"], nil, debug[".debug_ranges"], debug[".debug_str"])
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{".debug_addr", ".debug_line_str", ".debug_str_offsets", ".debug_rnglists"} {
			if debug[name] == nil {
				continue
			}
			if err := data.AddSection(name, debug[name]); err != nil {
				t.Fatal(err)
			}
		}
		unit, err := data.Reader().Next()
		if err != nil {
			t.Fatal(err)
		}
		lines, err := data.LineReader(unit)
		if err != nil {
			t.Fatal(err)
		}
		table := newLineTable(wasm)
		n := 0
		for e := (dwarf.LineEntry{}); lines.Next(&e) == nil; n++ {
			var next dwarf.LineEntry // of several for an address the last one counts
			at := lines.Tell()
			if lines.Next(&next) == nil && next.Address == e.Address {
				lines.Seek(at)
				continue
			}
			lines.Seek(at)
			want := fmt.Sprintf("%s:%d", filepath.Base(e.File.Name), e.Line)
			if e.EndSequence || e.Line == 0 {
				want = ""
			}
			if got := table.find(table.code + e.Address); got != want {
				t.Errorf("%s: at %#x: %q, want %q", file, e.Address, got, want)
			}
		}
		if n < 10 {
			t.Errorf("%s: only %d lines", file, n)
		}
	}
}

// lineUnit makes the line program of a unit of version 4 or 5, with no standard opcodes, from its lists
// of directories and files.
func lineUnit(version byte, lists, program []byte) []byte {
	header := []byte{1, 1, 1, 0, 1, 1} // lengths, default_is_stmt, line_base, line_range, opcode_base
	header = append(header, lists...)
	unit := []byte{version, 0}
	if version == 5 {
		unit = append(unit, 4, 0)
	}
	unit = binary.LittleEndian.AppendUint32(unit, uint32(len(header)))
	unit = append(append(unit, header...), program...)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(unit))), unit...)
}

// What lines take in memory does not grow with the length of names times their number, nor without a
// bound with the programs.
func TestLinesOfHostileModule(t *testing.T) {
	const names, length = 8000, 64 << 10
	long := append(bytes.Repeat([]byte{'d'}, length), 0)
	files4 := append(bytes.Repeat([]byte{'a', 0, 1, 0, 0}, names), 0)
	file5 := []byte{0, 0, 0, 0}
	lists5 := slices.Concat(
		[]byte{1, contentPath, formLineStr, 1}, file5, // a directory
		[]byte{1, contentPath, formLineStr, names&0x7f | 0x80, names >> 7}, bytes.Repeat(file5, names))
	lines := bytes.Repeat([]byte{1}, maxLines+maxLines/16)
	for _, c := range []struct {
		name  string
		table *lineTable
		most  uint64
	}{
		{"directory", &lineTable{programs: lineUnit(4, slices.Concat(long, []byte{0}, files4), []byte{1})}, 64 << 20},
		{"files", &lineTable{programs: lineUnit(5, lists5, []byte{1}), names: long}, 64 << 20},
		{"lines", &lineTable{programs: lineUnit(4, []byte{0, 'a', 0, 0, 0, 0, 0}, lines)}, 1 << 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := len(c.table.programs) + len(c.table.names)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c.table.find(0)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > c.most {
				t.Errorf("%d bytes are allocated for %d bytes of programs", n, size)
			}
			if n := len(c.table.entries); n > maxLines {
				t.Errorf("%d lines", n)
			}
		})
	}
}

// Reading lines ends, with no more of them than bytes of programs.
func FuzzLineTable(f *testing.F) {
	for _, file := range []string{"lines4.wasm", "lines5.wasm"} {
		wasm, err := os.ReadFile("testdata/lines/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wasm)
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		lines := newLineTable(wasm)
		if lines == nil {
			return
		}
		n := len(lines.programs)
		lines.find(1 << 20)
		if len(lines.entries) > n {
			t.Errorf("%d lines of %d bytes", len(lines.entries), n)
		}
	})
}

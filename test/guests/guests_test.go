package guests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

const (
	record = `{"a":1}`
	never  = 1 << 40 // epochs
)

// guest is an instance that is called as plainly as can be.
type guest struct {
	t        *testing.T
	store    *wasmtime.Store
	instance *wasmtime.Instance
	memory   *wasmtime.Memory
	filter   *wasmtime.Func
	base     uint32 // room for the input in a guest without an allocator
	aborted  string
}

func compile(t *testing.T, engine *wasmtime.Engine, name string) *wasmtime.Module {
	t.Helper()
	wasm, err := wasmtime.Wat2Wasm(WAT(name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	module, err := wasmtime.NewModule(engine, wasm)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return module
}

func open(t *testing.T, name string, maxMemoryBytes int64) *guest {
	t.Helper()
	config := wasmtime.NewConfig()
	config.SetEpochInterruption(true)
	engine := wasmtime.NewEngineWithConfig(config)
	module := compile(t, engine, name)
	store := wasmtime.NewStore(engine)
	store.SetEpochDeadline(never)
	store.Limiter(maxMemoryBytes, -1, -1, -1, -1)
	g := &guest{t: t, store: store}
	linker := wasmtime.NewLinker(engine)
	// Only for those that need it: engine/ leaves WASI out.
	if slices.ContainsFunc(module.Imports(), func(i *wasmtime.ImportType) bool { return i.Module() == "wasi_snapshot_preview1" }) {
		if err := linker.DefineWasi(); err != nil {
			t.Skip(err)
		}
		store.SetWasi(wasmtime.NewWasiConfig())
	}
	text := func(at int32) string {
		data := g.memory.UnsafeData(store)
		var s []byte
		for i := int32(0); i < int32(data[at-4]); i += 2 {
			s = append(s, data[at+i])
		}
		return string(s)
	}
	err := linker.FuncWrap("env", "abort", func(message, file, line, column int32) *wasmtime.Trap {
		g.aborted = fmt.Sprintf("%s in %s:%d:%d", text(message), text(file), line, column)
		return wasmtime.NewTrap(g.aborted)
	})
	if err != nil {
		t.Fatal(err)
	}
	instance, err := linker.Instantiate(store, module)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	g.instance = instance
	if export := instance.GetExport(store, "memory"); export != nil {
		g.memory = export.Memory()
	}
	g.filter = instance.GetFunc(store, "filter")
	return g
}

func (g *guest) export(name string, args ...any) uint32 {
	g.t.Helper()
	result, err := g.instance.GetFunc(g.store, name).Call(g.store, args...)
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	n, _ := result.(int32)
	return uint32(n)
}

// call returns the address of the reply and that of the record.
func (g *guest) call(tag string, sec uint32, record string) (reply, at uint32, err error) {
	g.t.Helper()
	size := int32(len(tag) + len(record) + 2)
	block := g.base
	switch {
	case g.instance.GetFunc(g.store, "malloc") != nil:
		block = g.export("malloc", size)
		defer func() { g.export("free", int32(block)) }()
	case g.instance.GetFunc(g.store, "__new") != nil:
		block = g.export("__pin", int32(g.export("__new", size, int32(1))))
		defer func() { g.export("__unpin", int32(block)) }()
	case g.base == 0:
		pages, err := g.memory.Grow(g.store, 1)
		if err != nil {
			g.t.Fatal(err)
		}
		g.base = uint32(pages) << 16
		block = g.base
	}
	at = block + uint32(len(tag)) + 1
	copy(g.memory.UnsafeData(g.store)[block:], tag+"\x00"+record+"\x00")
	g.store.SetEpochDeadline(1)
	defer g.store.SetEpochDeadline(never)
	result, err := g.filter.Call(g.store, int32(block), int32(len(tag)), int32(sec), int32(1), int32(at), int32(len(record)))
	if err != nil {
		return 0, at, err
	}
	return uint32(result.(int32)), at, nil
}

// text returns what is at an address, up to a NUL or the end of the memory.
func (g *guest) text(at uint32) string {
	data := g.memory.UnsafeData(g.store)[at:]
	if n := bytes.IndexByte(data, 0); n >= 0 {
		data = data[:n]
	}
	return string(data)
}

func TestEachGuestCompilesAndSaysWhatItIsFor(t *testing.T) {
	engine := wasmtime.NewEngine()
	for _, name := range Names() {
		if text := WAT(name); !strings.HasPrefix(text, ";; ") || !strings.Contains(text, "\n;; Promise: ") {
			t.Errorf("%s: no comment that says what it does and what it is for", name)
		}
		exports := map[string]*wasmtime.ExternType{}
		for _, export := range compile(t, engine, name).Exports() {
			exports[export.Name()] = export.Type()
		}
		if _, ok := exports["memory"]; ok == (name == "no_memory") {
			t.Errorf("%s: exports memory: %v", name, ok)
		}
		function, want := "filter", 6
		switch {
		case exports["flb_otlp_1"] != nil:
			function, want = "flb_metrics", 2
		case name == "wrong_signature":
			want = 5
		case exports["flb_batch_1"] != nil:
			want = 2
		}
		if exports[function] == nil {
			t.Errorf("%s: it exports no %s", name, function)
			continue
		}
		called := exports[function].FuncType()
		if len(called.Params()) != want || len(called.Results()) != 1 {
			t.Errorf("%s: %s has %d parameters and %d results", name, function, len(called.Params()), len(called.Results()))
		}
	}
}

func TestUnknownNamePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	WAT("nobody")
}

func TestReplies(t *testing.T) {
	// "=" stands for the record's own address, "" for the address 0.
	for name, want := range map[string][]string{
		"identity":             {"=", "=", "="},
		"identity_noalloc":     {"=", "="},
		"msgpack_identity":     {"=", "="},
		"memory64":             {"="},
		"start_traps":          {"="},
		"wasi_print":           {"="},
		"assemblyscript_like":  {"=", "="},
		"expects_nul":          {"=", "="},
		"grow":                 {"=", "=", "="},
		"drop":                 {"", ""},
		"drop_every_other":     {"=", "", "=", ""},
		"not_a_map":            {"[1,2]"},
		"bad_json":             {`{"a":`},
		"no_nul_at_memory_end": {`{"end":1}`, `{"end":1}`},
		"scribble":             {`{"a":1}`, `{"a":1}`},
		"call_counter": {`{"calls":1}`, `{"calls":2}`, `{"calls":3}`, `{"calls":4}`, `{"calls":5}`,
			`{"calls":6}`, `{"calls":7}`, `{"calls":8}`, `{"calls":9}`, `{"calls":10}`},
		"stamp": {`{"a":1,"calls":1000000001}`, `{"a":1,"calls":1000000002}`},
		"wrap":  {`{"tag":"a.b","sec":4000000000,"record":{"a":1}}`, `{"tag":"a.b","sec":4000000000,"record":{"a":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t, name, -1)
			for i, want := range want {
				reply, at, err := g.call("a.b", 4000000000, record)
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case want == "=":
					if reply != at || g.text(at) != record {
						t.Errorf("call %d: %q at %#x, want the record at %#x", i, g.text(reply), reply, at)
					}
				case want == "":
					if reply != 0 {
						t.Errorf("call %d: %q at %#x, want 0", i, g.text(reply), reply)
					}
				case g.text(reply) != want:
					t.Errorf("call %d: %q, want %q", i, g.text(reply), want)
				}
			}
		})
	}
}

func TestTraps(t *testing.T) {
	for name, want := range map[string]wasmtime.TrapCode{
		"oob_store":        wasmtime.MemoryOutOfBounds,
		"div_by_zero":      wasmtime.IntegerDivisionByZero,
		"stack_overflow":   wasmtime.StackOverflow,
		"needs_initialize": wasmtime.UnreachableCodeReached,
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := open(t, name, -1).call("t", 1, record)
			wantTrap(t, err, want)
		})
	}
}

func wantTrap(t *testing.T, err error, want wasmtime.TrapCode) {
	t.Helper()
	trap, ok := err.(*wasmtime.Trap)
	if !ok || trap.Code() == nil || *trap.Code() != want {
		t.Errorf("%v, want trap %v", err, want)
	}
}

func TestTrapWhenTold(t *testing.T) {
	g := open(t, "trap_when_told", -1)
	for record, trap := range map[string]bool{
		`{}`: false, `{"trap":tru}`: false, `{"trap":"true"}`: false, `"trap":tru`: false,
		`"trap":true`: true, `{"x":[1,2],"trap":true}`: true, `{""trap":true}`: true,
	} {
		if _, _, err := g.call("t", 1, record); (err != nil) != trap {
			t.Errorf("%s: %v", record, err)
		}
	}
}

func TestTrapEveryThird(t *testing.T) {
	g := open(t, "trap_every_third", -1)
	for i := 1; i < 10; i++ {
		if _, _, err := g.call("t", 1, record); (err != nil) != (i%3 == 0) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestInfiniteLoop(t *testing.T) {
	g := open(t, "infinite_loop", -1)
	if _, _, err := g.call("t", 1, record); err != nil {
		t.Error(err)
	}
	returned, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-returned:
				return
			default:
				g.store.Engine.IncrementEpoch()
			}
		}
	}()
	_, _, err := g.call("t", 1, `{"loop":true}`)
	close(returned)
	<-done
	wantTrap(t, err, wasmtime.Interrupt)
}

func TestNeedsInitialize(t *testing.T) {
	g := open(t, "needs_initialize", -1)
	g.export("_initialize")
	if _, _, err := g.call("t", 1, record); err != nil {
		t.Error(err)
	}
	_, err := g.instance.GetFunc(g.store, "_initialize").Call(g.store)
	wantTrap(t, err, wasmtime.UnreachableCodeReached)
}

func TestWASIExit(t *testing.T) {
	_, _, err := open(t, "wasi_exit", -1).call("t", 1, record)
	wasmtimeErr, ok := err.(*wasmtime.Error)
	if !ok {
		t.Fatalf("%v, want an exit", err)
	}
	if code, ok := wasmtimeErr.ExitStatus(); !ok || code != 3 {
		t.Errorf("exit %d, %v, want 3", code, ok)
	}
}

func TestWASIPrint(t *testing.T) {
	g := open(t, "wasi_print", -1)
	dir := t.TempDir()
	want := map[string]string{"out": "hello from the guest\n", "err": "trouble in the guest\n"}
	wasi := wasmtime.NewWasiConfig()
	if err := wasi.SetStdoutFile(filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if err := wasi.SetStderrFile(filepath.Join(dir, "err")); err != nil {
		t.Fatal(err)
	}
	g.store.SetWasi(wasi)
	if _, _, err := g.call("t", 1, record); err != nil {
		t.Fatal(err)
	}
	g.store.Close() // The files are complete only then.
	for name, want := range want {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v, want %q", name, text, err, want)
		}
	}
}

func TestBadPointers(t *testing.T) {
	g := open(t, "oob_pointer", -1)
	if reply, _, err := g.call("t", 1, record); err != nil || reply != 0xfffffff0 {
		t.Errorf("oob_pointer: %#x, %v", reply, err)
	}
	g = open(t, "empty", -1)
	if reply, _, err := g.call("t", 1, record); err != nil || reply == 0 || g.text(reply) != "" {
		t.Errorf("empty: %#x, %v", reply, err)
	}
	if at := open(t, "malloc_null", -1).export("malloc", int32(9)); at != 0 {
		t.Errorf("malloc_null: %#x", at)
	}
	g = open(t, "malloc_oob", -1)
	if at := g.export("malloc", int32(9)); uint64(at) < uint64(g.memory.DataSize(g.store)) {
		t.Errorf("malloc_oob: %#x", at)
	}
}

func TestGarbageAfter(t *testing.T) {
	g := open(t, "garbage_after", -1)
	for range 2 {
		reply, _, err := g.call("t", 1, record)
		if err != nil {
			t.Fatal(err)
		}
		text := g.text(reply)
		if !strings.HasPrefix(text, `{"a":1}`+"\xff") || reply+uint32(len(text)) != 65536 {
			t.Errorf("%d bytes at %d: %.20q", len(text), reply, text)
		}
	}
}

func TestMsgpackReplies(t *testing.T) {
	g := open(t, "msgpack_not_a_map", -1)
	if reply, _, err := g.call("t", 1, "\x80"); err != nil || g.text(reply) != "\x92\x01\x02" {
		t.Errorf("msgpack_not_a_map: %q, %v", g.text(reply), err)
	}
	g = open(t, "msgpack_truncated", -1)
	reply, _, err := g.call("t", 1, "\x80")
	if err != nil || g.text(reply) != "\xdf\xff\xff\xff\xff\xa1a\x01" || int(reply)+8 != int(g.memory.DataSize(g.store)) {
		t.Errorf("msgpack_truncated: %q at %d, %v", g.text(reply), reply, err)
	}
}

func TestGrowAndLeak(t *testing.T) {
	const limit = 20 << 16
	grow, leak := open(t, "grow", limit), open(t, "leak_to_limit", limit)
	for i := range 6 {
		if reply, at, err := grow.call("t", 1, record); err != nil || reply != at {
			t.Errorf("grow, call %d: %#x, %v", i, reply, err)
		}
		reply, at, err := leak.call("t", 1, record)
		if want := map[bool]uint32{true: at, false: 0}[i < 3]; err != nil || reply != want {
			t.Errorf("leak_to_limit, call %d: %#x, %v, want %#x", i, reply, err, want)
		}
	}
	if size := grow.memory.DataSize(grow.store); size != limit {
		t.Errorf("grow: %d bytes, want %d", size, limit)
	}
}

func TestAbort(t *testing.T) {
	g := open(t, "assemblyscript_like", -1)
	_, _, err := g.call("t", 1, `{"abort":true}`)
	if want := "bad record! in filter.ts:7:3"; err == nil || g.aborted != want {
		t.Errorf("%q, %v, want %q", g.aborted, err, want)
	}
}

func TestRefused(t *testing.T) {
	engine := wasmtime.NewEngine()
	store := wasmtime.NewStore(engine)
	linker := wasmtime.NewLinker(engine)
	if _, err := linker.Instantiate(store, compile(t, engine, "unknown_import")); err == nil || !strings.Contains(err.Error(), "env::mystery") {
		t.Errorf("unknown_import: %v", err)
	}
}

func TestAllocator(t *testing.T) {
	g := open(t, "identity", 64<<16)
	a := g.export("malloc", int32(10))
	b := g.export("malloc", int32(3<<20))
	if a%8 != 0 || b%8 != 0 || b < a+10 || int(b)+3<<20 > int(g.memory.DataSize(g.store)) {
		t.Errorf("blocks at %#x and %#x of %#x bytes", a, b, g.memory.DataSize(g.store))
	}
	for size, want := range map[int32]uint32{63 << 16: 0, -1: 0, -8: 0} {
		if at := g.export("malloc", size); at != want {
			t.Errorf("malloc(%d) = %#x", size, at)
		}
	}
	g.export("free", int32(0))
	g.export("free", int32(b))
	if again := g.export("malloc", int32(8)); again != b {
		t.Errorf("the last block is not used again: %#x, want %#x", again, b)
	}
	g.export("free", int32(a))
	g.export("free", int32(b))
	if again := g.export("malloc", int32(8)); again != a {
		t.Errorf("memory is not used again: %#x, want %#x", again, a)
	}
}

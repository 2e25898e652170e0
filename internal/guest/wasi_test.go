package guest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"
	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostcall"
)

// Numbers of wasi_snapshot_preview1 (witx/typenames.witx).
const (
	errnoSuccess     = 0
	errnoBadf        = 8
	errnoExist       = 20
	errnoFault       = 21
	errnoFbig        = 22
	errnoInval       = 28
	errnoIsdir       = 31
	errnoLoop        = 32
	errnoMfile       = 33
	errnoNametoolong = 37
	errnoNoent       = 44
	errnoNotdir      = 54
	errnoNotsup      = 58
	errnoPerm        = 63
	errnoSpipe       = 70

	creat, directory, excl, trunc = 1, 2, 4, 8 // oflags
	fdRead, fdWrite               = 1 << 1, 1 << 6
	follow                        = 1
	append_, nonblock             = 1, 4 // fdflags
)

// wasi is a module that exports a wrapper of each function of a WASI, and whose memory
// the test writes and reads.
type wasi struct {
	testing.TB
	in      *Instance // nil: the WASI is wasmtime's
	store   *wasmtime.Store
	exports *wasmtime.Instance
	memory  *wasmtime.Memory
	next    int // where the next argument stands in memory
}

func wasiText(module string) string {
	var imports, wrappers strings.Builder
	for _, name := range slices.Sorted(slices.Values(hostcall.Names(module))) {
		params, result, _ := strings.Cut(strings.TrimPrefix(hostcall.Types(module, name)[0], "func "), " -> ")
		params = strings.ReplaceAll(strings.Trim(params, "()"), ",", "")
		typ := "(param " + params + ")"
		if result != "()" {
			typ += "(result " + result + ")"
		}
		fmt.Fprintf(&imports, "(import %q %q (func $%s %s))\n", module, name, name, typ)
		fmt.Fprintf(&wrappers, "(func (export \"call_%s\") %s (call $%s", name, typ, name)
		for i := range len(strings.Fields(params)) {
			fmt.Fprintf(&wrappers, " (local.get %d)", i)
		}
		wrappers.WriteString("))\n")
	}
	return "(module " + imports.String() + `(memory (export "memory") 4 4)` + wrappers.String() +
		`(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))`
}

// newWASI makes one whose WASI is the host's own.
func newWASI(tb testing.TB, config Config) *wasi { return newWASIOf(tb, hostcall.WASI, config) }

func newWASIOf(tb testing.TB, module string, config Config) *wasi {
	tb.Helper()
	l := newLibcOf(tb, load(tb, wasiText(module)), config)
	return &wasi{TB: tb, in: l.in, store: l.in.store, exports: l.exports, memory: l.memory}
}

// newWalking makes one that resolves paths without the kernel's help.
func newWalking(tb testing.TB, config Config) *wasi {
	walkPaths = true
	defer func() { walkPaths = false }()
	return newWASI(tb, config)
}

// needWASI skips a test if the wasmtime that is linked has no WASI to compare with.
func needWASI(tb testing.TB) {
	tb.Helper()
	if len(capi.Targets) > 0 {
		tb.Skip("engine/ leaves WASI out: the library of wasmtime-go has it")
	}
}

// newOracle makes one whose WASI is wasmtime's.
func newOracle(tb testing.TB, config Config) *wasi {
	tb.Helper()
	needWASI(tb)
	wasm, err := wasmtime.Wat2Wasm(wasiText(hostcall.WASI))
	if err != nil {
		tb.Fatal(err)
	}
	engine := wasmtime.NewEngine() // memories of this package's engines are made for instances only
	module, err := wasmtime.NewModule(engine, wasm)
	if err != nil {
		tb.Fatal(err)
	}
	linker := wasmtime.NewLinker(engine)
	defer linker.Close()
	store := wasmtime.NewStore(engine)
	tb.Cleanup(store.Close)
	c := wasmtime.NewWasiConfig()
	for _, dir := range config.Dirs {
		dirs, files := wasmtime.DIR_READ, wasmtime.FILE_READ
		if dir.Writable {
			dirs, files = dirs|wasmtime.DIR_WRITE, files|wasmtime.FILE_WRITE
		}
		if err := c.PreopenDir(dir.Path, dir.Path, dirs, files); err != nil {
			tb.Fatal(err)
		}
	}
	var names, values []string
	for _, e := range config.Env {
		name, value, _ := strings.Cut(e, "=")
		names, values = append(names, name), append(values, value)
	}
	c.SetEnv(names, values)
	store.SetWasi(c)
	if err := linker.DefineWasi(); err != nil {
		tb.Fatal(err)
	}
	exports, err := linker.Instantiate(store, module)
	if err != nil {
		tb.Fatal(err)
	}
	return &wasi{TB: tb, store: store, exports: exports, memory: exports.GetExport(store, "memory").Memory()}
}

func (w *wasi) data() []byte { return w.memory.UnsafeData(w.store) }

// out is an argument: the address of as many bytes, which the call may write.
type out int

// buffers is an argument: the address and number of buffers, of these sizes or contents.
type buffers []any

// canary stands behind what a function may write.
const canary = "canary"

// place puts bytes where the next call finds them.
func (w *wasi) place(b []byte) int32 {
	at := (w.next + 15) &^ 15
	w.next = at + len(b)
	copy(w.data()[at:], b)
	return int32(at)
}

// call calls a function. A string is handed over as its address and length. What the
// function may write is answered in order.
func (w *wasi) call(name string, args ...any) (errno int, written [][]byte) {
	w.Helper()
	w.next = 1024
	type area struct{ at, n int32 }
	var areas []area
	var list []any
	room := func(n int) int32 {
		at := w.place(append(make([]byte, n), canary...))
		areas = append(areas, area{at, int32(n)})
		return at
	}
	for _, a := range args {
		switch a := a.(type) {
		case int:
			list = append(list, int32(a))
		case uint64:
			list = append(list, int64(a))
		case string:
			list = append(list, w.place([]byte(a)), int32(len(a)))
		case out:
			list = append(list, room(int(a)))
		case buffers:
			var vector []byte
			for _, b := range a {
				var at, n int32
				switch b := b.(type) {
				case string:
					at, n = w.place([]byte(b)), int32(len(b))
				case int:
					at, n = room(b), int32(b)
				}
				vector = binary.LittleEndian.AppendUint32(vector, uint32(at))
				vector = binary.LittleEndian.AppendUint32(vector, uint32(n))
			}
			list = append(list, w.place(vector), int32(len(a)))
		default:
			list = append(list, a)
		}
	}
	v, err := w.exports.GetFunc(w.store, "call_"+name).Call(w.store, list...)
	if err != nil {
		w.Fatalf("%s%v: %v", name, args, err)
	}
	for _, a := range areas {
		b := w.data()[a.at:]
		written = append(written, bytes.Clone(b[:a.n]))
		if !bytes.HasPrefix(b[a.n:], []byte(canary)) {
			w.Errorf("%s%v wrote past the %d bytes that it was given", name, args, a.n)
		}
	}
	return int(v.(int32)), written
}

func (w *wasi) must(name string, args ...any) [][]byte {
	w.Helper()
	errno, written := w.call(name, args...)
	if errno != errnoSuccess {
		w.Fatalf("%s%v: errno %d", name, args, errno)
	}
	return written
}

// open opens a path below the first directory.
func (w *wasi) open(path string, oflags int, rights uint64) (errno, fd int) {
	w.Helper()
	errno, written := w.call("path_open", 3, follow, path, oflags, rights, uint64(0), 0, out(4))
	return errno, int(binary.LittleEndian.Uint32(written[0]))
}

func (w *wasi) mustOpen(path string, oflags int, rights uint64) int {
	w.Helper()
	errno, fd := w.open(path, oflags, rights)
	if errno != errnoSuccess {
		w.Fatalf("open %q: errno %d", path, errno)
	}
	return fd
}

// tree makes a directory with a bit of everything beside one that is not given to anybody,
// and returns the two.
func tree(tb testing.TB) (inside, outside string) {
	tb.Helper()
	parent := tb.TempDir()
	inside, outside = filepath.Join(parent, "inside"), filepath.Join(parent, "outside")
	for _, dir := range []string{"inside/dir/sub", "inside/empty", "outside/dir"} {
		if err := os.MkdirAll(filepath.Join(parent, dir), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"inside/file": "the first file\n", "inside/dir/file": "the second file\n", "inside/dir/sub/file": "",
		"outside/file": "a secret", "outside/dir/file": "another secret",
	} {
		if err := os.WriteFile(filepath.Join(parent, name), []byte(content), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"to_file": "file", "to_dir": "dir", "dir/up": "..", "dir/to_sub": "./sub/", "dir/sub/top": "../../file",
		"dangling": "not_there", "dir/dangling": "../not_there_either",
		"loop": "loop", "loop1": "loop2", "loop2": "dir/../loop1",
		"absolute": filepath.Join(inside, "file"), "out": "../outside", "out_file": "../outside/file",
		"dir/out": "../../outside", "out_and_in": "../inside/file", "root": "/", "chain": "to_dir/up/to_dir/up/to_file",
		"out_dangling": "../outside/new", "slash": "file/", "dir_slash": "dir///",
	} {
		if err := os.Symlink(target, filepath.Join(inside, name)); err != nil {
			tb.Fatal(err)
		}
	}
	return inside, outside
}

// contents lists what is below a directory: names, kinds, targets and contents.
func contents(tb testing.TB, dir string) []string {
	tb.Helper()
	var list []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			list = append(list, fmt.Sprintf("%s: %q", name, content))
		case info.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			list = append(list, name+" -> "+strings.ReplaceAll(target, filepath.Dir(dir), "…"))
		default:
			list = append(list, name+" "+info.Mode().Type().String())
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

// wordFunc words a type of wasmtime's, as in item.typ.
func wordFunc(f *wasmtime.FuncType) string {
	list := func(types []*wasmtime.ValType) string {
		var words []string
		for _, t := range types {
			words = append(words, t.Kind().String())
		}
		return strings.Join(words, ", ")
	}
	results := list(f.Results())
	if len(f.Results()) != 1 {
		results = "(" + results + ")"
	}
	return "func (" + list(f.Params()) + ") -> " + results
}

// wasmtime's own WASI has the same functions, of the same types.
func TestWASIFunctions(t *testing.T) {
	needWASI(t)
	m := load(t, wasiText(hostcall.WASI))
	linker := wasmtime.NewLinker(m.engine)
	defer linker.Close()
	if err := linker.DefineWasi(); err != nil {
		t.Fatal(err)
	}
	store := wasmtime.NewStore(m.engine)
	defer store.Close()
	for _, name := range hostcall.Names(hostcall.WASI) {
		types := hostcall.Types(hostcall.WASI, name)
		f := linker.Get(store, hostcall.WASI, name)
		if f == nil {
			t.Errorf("%s: wasmtime has none", name)
		} else if want := wordFunc(f.Type(store).FuncType()); len(types) != 1 || types[0] != want {
			t.Errorf("%s: %v, want %s", name, types, want)
		}
	}
	// witx/wasi_snapshot_preview1.witx and wasi_unstable.witx have as many.
	if n, old := len(hostcall.Names(hostcall.WASI)), len(hostcall.Names(hostcall.WASIUnstable)); n != 46 || old != 45 {
		t.Errorf("%d and %d functions, want 46 and 45", n, old)
	}
}

// What is ordinary is answered as wasmtime does, call by call, with the same files left
// at the end.
func TestWASIAgainstWasmtime(t *testing.T) {
	type step struct {
		name string
		args []any
	}
	open := func(path string, oflags int, rights uint64, fdflags int) step {
		return step{"path_open", []any{3, follow, path, oflags, rights, uint64(0), fdflags, out(4)}}
	}
	stat := func(path string, flags int) step { return step{"path_filestat_get", []any{3, flags, path, out(64)}} }
	const rw = fdRead | fdWrite
	scripts := map[string][]step{
		"environment": {
			{"args_sizes_get", []any{out(4), out(4)}}, {"args_get", []any{out(4), out(4)}},
			{"environ_sizes_get", []any{out(4), out(4)}}, {"environ_get", []any{out(12), out(40)}},
		},
		"streams": {
			{"fd_fdstat_get", []any{0, out(24)}}, {"fd_fdstat_get", []any{1, out(24)}}, {"fd_fdstat_get", []any{2, out(24)}},
			{"fd_filestat_get", []any{0, out(64)}}, {"fd_filestat_get", []any{1, out(64)}},
			{"fd_read", []any{0, buffers{10}, out(4)}}, {"fd_read", []any{1, buffers{10}, out(4)}},
			{"fd_write", []any{0, buffers{"x"}, out(4)}}, {"fd_pread", []any{0, buffers{1}, uint64(0), out(4)}},
			{"fd_pwrite", []any{1, buffers{"x"}, uint64(0), out(4)}}, {"fd_pread", []any{1, buffers{1}, uint64(0), out(4)}},
			{"fd_pwrite", []any{0, buffers{"x"}, uint64(0), out(4)}},
			{"fd_seek", []any{0, uint64(0), 0, out(8)}}, {"fd_tell", []any{1, out(8)}}, {"fd_sync", []any{1}},
			{"fd_prestat_get", []any{0, out(8)}}, {"fd_prestat_dir_name", []any{0, out(8), 8}},
			{"fd_fdstat_set_flags", []any{1, 1}}, {"fd_fdstat_set_rights", []any{1, uint64(0), uint64(0)}},
			{"fd_filestat_set_size", []any{1, uint64(0)}}, {"fd_filestat_set_times", []any{1, uint64(0), uint64(0), 0}},
			{"fd_advise", []any{1, uint64(0), uint64(0), 0}}, {"fd_allocate", []any{1, uint64(0), uint64(1)}},
			{"path_open", []any{1, 0, "file", 0, uint64(fdRead), uint64(0), 0, out(4)}},
			{"path_filestat_get", []any{1, 0, "file", out(64)}}, {"fd_readdir", []any{1, out(100), 100, uint64(0), out(4)}},
			{"sock_accept", []any{1, 0, out(4)}}, {"sock_shutdown", []any{1, 0}}, {"sock_shutdown", []any{9, 0}},
			{"sock_recv", []any{1, buffers{1}, 0, out(4), out(2)}}, {"sock_send", []any{1, buffers{"x"}, 0, out(4)}},
			{"proc_raise", []any{9}}, {"sched_yield", nil},
			{"fd_close", []any{1}}, {"fd_write", []any{1, buffers{"x"}, out(4)}}, {"fd_close", []any{1}}, {"fd_close", []any{77}},
		},
		"directories that are given": {
			{"fd_prestat_get", []any{3, out(8)}}, {"fd_prestat_dir_name", []any{3, out(300), 300}},
			{"fd_prestat_dir_name", []any{3, out(300), 3}}, {"fd_prestat_get", []any{4, out(8)}},
			{"fd_fdstat_get", []any{3, out(24)}}, {"fd_filestat_get", []any{3, out(64)}},
			{"fd_read", []any{3, buffers{10}, out(4)}}, {"fd_write", []any{3, buffers{"x"}, out(4)}},
			{"fd_seek", []any{3, uint64(0), 0, out(8)}}, {"fd_tell", []any{3, out(8)}}, {"fd_sync", []any{3}},
			{"fd_advise", []any{3, uint64(0), uint64(0), 0}}, {"fd_filestat_set_size", []any{3, uint64(0)}},
			{"fd_fdstat_set_flags", []any{3, 0}}, {"fd_fdstat_set_rights", []any{3, uint64(0), uint64(0)}},
			{"fd_renumber", []any{3, 9}}, {"fd_renumber", []any{9, 3}}, {"fd_renumber", []any{3, 3}}, {"fd_renumber", []any{3, 0}},
			{"fd_prestat_get", []any{0, out(8)}}, {"fd_prestat_get", []any{3, out(8)}},
			stat("file", 0), {"fd_renumber", []any{0, 2}}, {"path_filestat_get", []any{2, 0, "file", out(64)}},
		},
		"reading": {
			open("file", 0, fdRead, 0), {"fd_fdstat_get", []any{4, out(24)}}, {"fd_filestat_get", []any{4, out(64)}},
			{"fd_read", []any{4, buffers{5}, out(4)}}, {"fd_tell", []any{4, out(8)}}, {"fd_pread", []any{4, buffers{5}, uint64(2), out(4)}},
			{"fd_read", []any{4, buffers{50}, out(4)}}, {"fd_read", []any{4, buffers{50}, out(4)}},
			{"fd_seek", []any{4, uint64(4), 0, out(8)}}, {"fd_seek", []any{4, uint64(3), 1, out(8)}},
			{"fd_seek", []any{4, ^uint64(0), 2, out(8)}}, {"fd_seek", []any{4, ^uint64(99), 1, out(8)}},
			{"fd_read", []any{4, buffers{50}, out(4)}}, {"fd_read", []any{4, buffers{}, out(4)}}, {"fd_read", []any{4, buffers{0, 0}, out(4)}},
			{"fd_write", []any{4, buffers{"x"}, out(4)}}, {"fd_pwrite", []any{4, buffers{"x"}, uint64(0), out(4)}},
			{"fd_sync", []any{4}}, {"fd_datasync", []any{4}}, {"fd_advise", []any{4, uint64(0), uint64(9), 1}},
			{"fd_allocate", []any{4, uint64(0), uint64(1)}},
			{"fd_fdstat_set_flags", []any{4, append_ | nonblock}}, {"fd_fdstat_get", []any{4, out(24)}},
			{"fd_fdstat_set_flags", []any{4, 2}}, {"fd_readdir", []any{4, out(100), 100, uint64(0), out(4)}},
			{"path_open", []any{4, 0, "file", 0, uint64(fdRead), uint64(0), 0, out(4)}}, {"fd_prestat_get", []any{4, out(8)}},
			{"fd_prestat_dir_name", []any{4, out(8), 8}}, {"fd_close", []any{4}}, {"fd_read", []any{4, buffers{5}, out(4)}},
			open("file", 0, 0, 0), {"fd_fdstat_get", []any{4, out(24)}}, {"fd_read", []any{4, buffers{5}, out(4)}},
			open("file", 0, fdRead, 2),
			open("file", directory, fdRead, 0), open("", 0, fdRead, 0), open("not_there", 0, fdRead, 0),
			{"path_open", []any{3, 0, "to_file", 0, uint64(fdRead), uint64(0), 0, out(4)}},
			open("to_file", 0, fdRead, 0), open("file/", 0, fdRead, 0), open("dir/sub/top", 0, fdRead, 0),
			open("dir", 0, fdRead, 0), open("dir", directory, fdRead, 0), {"fd_fdstat_get", []any{8, out(24)}},
			{"path_open", []any{8, 0, "sub/file", 0, uint64(fdRead), uint64(0), 0, out(4)}},
			{"path_open", []any{8, 0, "../file", 0, uint64(fdRead), uint64(0), 0, out(4)}},
			open("a\x00b", 0, fdRead, 0), open(strings.Repeat("x", 300), 0, fdRead, 0), open(strings.Repeat("x/", 2048), 0, fdRead, 0),
		},
		"out of the directory": {
			open("..", 0, fdRead, 0), open("../outside/file", 0, fdRead, 0), open("/etc/passwd", 0, fdRead, 0), open("/", 0, fdRead, 0),
			open("absolute", 0, fdRead, 0), open("out", 0, fdRead, 0), open("out_file", 0, fdRead, 0), open("out/file", 0, fdRead, 0),
			open("dir/../../outside/file", 0, fdRead, 0), open("root", 0, fdRead, 0), open("out_and_in", 0, fdRead, 0),
			open("out_dangling", creat, rw, 0), open("../new", creat, rw, 0), open("loop", 0, fdRead, 0), open("loop1", 0, fdRead, 0),
			stat("..", 0), stat("out", 0), stat("out", follow), stat("/", 0), stat("dir/out/file", 0),
			{"path_readlink", []any{3, "out/file", out(100), 100, out(4)}}, {"path_unlink_file", []any{3, "out/file"}},
			{"path_unlink_file", []any{3, "../outside/file"}}, {"path_create_directory", []any{3, "out/new"}},
			{"path_remove_directory", []any{3, "out/dir"}}, {"path_rename", []any{3, "out/file", 3, "stolen"}},
			{"path_rename", []any{3, "file", 3, "out/file"}}, {"path_rename", []any{3, "file", 3, "../file"}},
			{"path_link", []any{3, 0, "out/file", 3, "stolen"}}, {"path_link", []any{3, 0, "file", 3, "out/new"}},
			{"path_symlink", []any{"x", 3, "out/new"}}, {"path_symlink", []any{"/etc/passwd", 3, "new"}},
			{"path_filestat_set_times", []any{3, follow, "out_file", uint64(0), uint64(0), 10}},
			{"path_filestat_set_times", []any{3, 0, "out/file", uint64(0), uint64(0), 10}},
			{"path_remove_directory", []any{3, "dir/.."}}, {"path_create_directory", []any{3, "/new"}},
		},
		"changing": {
			open("new", creat, rw, 0), {"fd_fdstat_get", []any{4, out(24)}}, {"fd_write", []any{4, buffers{"one"}, out(4)}},
			{"fd_write", []any{4, buffers{" two"}, out(4)}}, {"fd_pwrite", []any{4, buffers{"O"}, uint64(0), out(4)}},
			{"fd_seek", []any{4, uint64(10), 0, out(8)}}, {"fd_write", []any{4, buffers{"x"}, out(4)}},
			{"fd_filestat_set_size", []any{4, uint64(5)}}, {"fd_fdstat_set_flags", []any{4, append_}}, {"fd_write", []any{4, buffers{"end"}, out(4)}},
			{"fd_tell", []any{4, out(8)}}, {"fd_sync", []any{4}}, {"fd_datasync", []any{4}},
			{"fd_filestat_set_times", []any{4, uint64(5e9), uint64(7e9), 5}}, stat("new", 0), {"fd_filestat_set_times", []any{4, uint64(0), uint64(0), 3}},
			open("new", creat|excl, rw, 0), open("new", trunc, rw, 0), stat("new", 0), open("only", creat, fdWrite, append_),
			{"fd_fdstat_get", []any{6, out(24)}}, {"fd_write", []any{6, buffers{"more"}, out(4)}}, {"fd_pwrite", []any{6, buffers{"and"}, uint64(0), out(4)}},
			open("dir", 0, rw, 0), open("dir", creat, rw, 0), open("dir", directory|creat, rw, 0), open("new_slash/", creat, rw, 0),
			open("dangling", creat, rw, 0), open("dir/dangling", creat, rw, 0), open("dangling2", creat|excl, rw, 0), open("loop", creat, rw, 0),
			open("to_file", creat, rw, 0), open("to_file", creat|excl, rw, 0), open("chain", creat, rw, 0), open("file/x", creat, rw, 0), open("none/x", creat, rw, 0),
			{"path_create_directory", []any{3, "made"}}, {"path_create_directory", []any{3, "made"}}, {"path_create_directory", []any{3, "made/below/"}},
			{"path_create_directory", []any{3, "none/below"}}, {"path_create_directory", []any{3, ""}}, {"path_create_directory", []any{3, "to_dir"}},
			{"path_remove_directory", []any{3, "made"}}, {"path_remove_directory", []any{3, "made/below"}}, {"path_remove_directory", []any{3, "file"}},
			{"path_remove_directory", []any{3, "to_dir"}}, {"path_remove_directory", []any{3, "none"}},
			{"path_rename", []any{3, "made", 3, "renamed"}}, {"path_rename", []any{3, "file", 3, "renamed"}}, {"path_rename", []any{3, "new", 3, "only"}},
			{"path_rename", []any{3, "renamed", 3, "only"}}, {"path_rename", []any{3, "none", 3, "x"}}, {"path_rename", []any{3, "dir", 3, "dir/sub/x"}},
			{"path_link", []any{3, 0, "file", 3, "linked"}}, {"path_link", []any{3, 0, "file", 3, "linked"}}, {"path_link", []any{3, 1, "file", 3, "linked2"}},
			{"path_link", []any{3, 0, "dir", 3, "linked_dir"}}, {"path_link", []any{3, 0, "to_file", 3, "linked_link"}}, {"path_link", []any{3, 0, "none", 3, "x"}},
			{"path_symlink", []any{"../somewhere", 3, "made_link"}}, {"path_symlink", []any{"x", 3, "made_link"}}, {"path_symlink", []any{"x", 3, "none/x"}},
			{"path_readlink", []any{3, "made_link", out(100), 100, out(4)}}, {"path_readlink", []any{3, "made_link", out(5), 5, out(4)}},
			{"path_readlink", []any{3, "file", out(100), 100, out(4)}}, {"path_readlink", []any{3, "none", out(100), 100, out(4)}},
			{"path_filestat_set_times", []any{3, 0, "file", uint64(1e9), uint64(2e9), 5}}, stat("file", 0),
			{"path_filestat_set_times", []any{3, follow, "to_file", uint64(3e9), uint64(4e9), 5}}, stat("file", 0),
			{"path_filestat_set_times", []any{3, 0, "to_file", uint64(5e9), uint64(6e9), 5}}, stat("file", 0), stat("to_file", 0),
			{"path_filestat_set_times", []any{3, 0, "none", uint64(5e9), uint64(6e9), 5}}, {"path_filestat_set_times", []any{3, 0, "file", uint64(5e9), uint64(6e9), 15}},
			{"path_unlink_file", []any{3, "linked"}}, {"path_unlink_file", []any{3, "dir"}}, {"path_unlink_file", []any{3, "to_dir"}},
			{"path_unlink_file", []any{3, "none"}}, {"path_unlink_file", []any{3, "file/x"}},
		},
	}
	for name, script := range scripts {
		for _, writable := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/writable=%v", name, writable), func(t *testing.T) {
				type guest struct {
					*wasi
					dir, outside string
				}
				var guests []guest
				for _, make := range []func(testing.TB, Config) *wasi{newOracle, newWASI, newWalking} {
					inside, outside := tree(t)
					config := Config{Dirs: []Dir{{Path: inside, Writable: writable}}, Env: []string{"A=1", "B=two=2", "C"}}
					guests = append(guests, guest{make(t, config), inside, outside})
				}
				oracle := guests[0]
				for _, s := range script {
					want, wantWritten := oracle.call(s.name, s.args...)
					for i, g := range guests[1:] {
						got, written := g.call(s.name, s.args...)
						if got != want {
							t.Errorf("%d: %s%v: errno %d, want %d", i, s.name, s.args, got, want)
							continue
						}
						if got != errnoSuccess {
							continue
						}
						for k := range written {
							a, b := written[k], wantWritten[k]
							if s.name == "fd_prestat_dir_name" { // their names differ
								a, b = bytes.ReplaceAll(a, []byte(g.dir), []byte("…")), bytes.ReplaceAll(b, []byte(oracle.dir), []byte("…"))
							}
							if strings.HasSuffix(s.name, "filestat_get") {
								a, b = comparable(a), comparable(b)
							}
							if diff := cmp.Diff(b, a); diff != "" {
								t.Errorf("%d: %s%v: -want +got\n%s", i, s.name, s.args, diff)
							}
						}
					}
				}
				for i, g := range guests[1:] {
					if diff := cmp.Diff(contents(t, oracle.dir), contents(t, g.dir)); diff != "" {
						t.Errorf("%d: -want +got\n%s", i, diff)
					}
					if diff := cmp.Diff(contents(t, oracle.outside), contents(t, g.outside)); diff != "" {
						t.Errorf("%d: outside: -want +got\n%s", i, diff)
					}
				}
			})
		}
	}
}

// comparable is a filestat without what differs between two trees: numbers of devices and
// inodes, times of today, and ctim, for which wasmtime gives the time of birth.
func comparable(stat []byte) []byte {
	stat = bytes.Clone(stat)
	clear(stat[:16])
	clear(stat[56:])
	for i := 40; i < 56; i += 8 {
		if binary.LittleEndian.Uint64(stat[i:]) > 1e18 {
			clear(stat[i : i+8])
		}
	}
	if stat[16] == 3 { // how large directories are is the file system's
		clear(stat[32:40])
	}
	return stat
}

package guest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostcall"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// What is no file and no directory is not opened: that could wait for ever, or do
// something to who is on the other side.
func TestSpecialFilesAreNotOpened(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("pipe", filepath.Join(dir, "to_pipe")); err != nil {
		t.Fatal(err)
	}
	socket, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(socket)
	if err := syscall.Bind(socket, &syscall.SockaddrUnix{Name: filepath.Join(dir, "socket")}); err != nil {
		t.Fatal(err)
	}
	names := []string{"pipe", "to_pipe", "socket"}
	if err := syscall.Mknod(filepath.Join(dir, "device"), syscall.S_IFCHR|0o600, 1<<8|3); err == nil { // /dev/null
		names = append(names, "device")
	}
	// Who reads from the pipe hears of a writer that has come and gone.
	reader, err := syscall.Open(pipe, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(reader)
	for _, w := range []*wasi{newWASI(t, Config{Dirs: []Dir{{dir, true}}}), newWalking(t, Config{Dirs: []Dir{{dir, true}}})} {
		for _, name := range names {
			for _, oflags := range []int{0, creat, trunc, creat | trunc} {
				for _, rights := range []uint64{0, fdRead, fdWrite, fdRead | fdWrite} {
					if errno, _ := w.open(name, oflags, rights); errno != errnoNotsup {
						t.Errorf("%s, oflags %d, rights %d: errno %d", name, oflags, rights, errno)
					}
				}
			}
			if errno, _ := w.open(name, creat|excl, fdRead); errno != errnoExist {
				t.Errorf("%s: errno %d", name, errno)
			}
			if errno, _ := w.open(name, directory, fdRead); errno != errnoNotdir {
				t.Errorf("%s: errno %d", name, errno)
			}
			if kind := w.must("path_filestat_get", 3, 0, name, out(64))[0][16]; (kind == 0) != (name == "pipe") {
				t.Errorf("%s: kind %d", name, kind)
			}
		}
	}
	var poll struct {
		fd              int32
		events, revents int16
	}
	poll.fd, poll.events = int32(reader), 1
	var now syscall.Timespec
	if _, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0); errno != 0 || poll.revents != 0 {
		t.Errorf("%v, events %#x: the pipe was opened", errno, poll.revents)
	}
}

// openBelow returns how many descriptors the process has below a directory.
func openBelow(tb testing.TB, dir string) (n int) {
	tb.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	for _, entry := range list {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(target, dir) {
			n++
			flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, uintptr(atoi(tb, entry.Name())), syscall.F_GETFD, 0)
			if flags&syscall.FD_CLOEXEC == 0 {
				tb.Errorf("%s is inherited by other programs", target)
			}
		}
	}
	return n
}

func atoi(tb testing.TB, s string) (n int) {
	tb.Helper()
	if _, err := fmt.Sscan(s, &n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// maxDescriptors is in the table of limits in README.md.
const maxDescriptors = 64

// A guest gets no more descriptors than are said, and none is left when it is gone.
func TestDescriptorsAreBounded(t *testing.T) {
	for name, make := range map[string]func(testing.TB, Config) *wasi{"kernel": newWASI, "walk": newWalking} {
		t.Run(name, func(t *testing.T) { descriptorsAreBounded(t, make) })
	}
}

func descriptorsAreBounded(t *testing.T, make func(testing.TB, Config) *wasi) {
	inside, _ := tree(t)
	w := make(t, Config{Dirs: []Dir{{inside, true}, {filepath.Join(inside, "dir"), false}}})
	fds := []int{0, 1, 2, 3, 4}
	for i := 0; ; i++ {
		path := []string{"file", "dir", "to_file"}[i%3]
		errno, fd := w.open(path, 0, fdRead)
		if errno != errnoSuccess {
			if errno != errnoMfile || len(fds) != maxDescriptors {
				t.Fatalf("%d descriptors, then errno %d", len(fds), errno)
			}
			break
		}
		if slices.Contains(fds, fd) {
			t.Fatalf("%d twice", fd)
		}
		fds = append(fds, fd)
	}
	if errno := w.create("new", false); errno != errnoMfile {
		t.Errorf("errno %d", errno)
	}
	if _, err := os.Lstat(filepath.Join(inside, "new")); err == nil {
		t.Error("a file was made that could not be opened")
	}
	if n := openBelow(t, inside); n != maxDescriptors-3 {
		t.Errorf("%d of the process's descriptors", n)
	}
	w.must("fd_close", fds[20])
	w.must("fd_renumber", fds[30], fds[31])
	w.must("fd_renumber", fds[32], 1)
	if n := openBelow(t, inside); n != maxDescriptors-3-2 {
		t.Errorf("%d of the process's descriptors, after two are closed", n)
	}
	w.mustOpen("file", 0, fdRead)
	for range 1000 {
		for _, path := range []string{"none/there", "dir/none/x", "dir/sub/none/x", "dir/to_sub/file/x", "loop", "out", "dir/sub/top/x", "dir/../dir/out/file"} {
			w.open(path, 0, fdRead)
			w.open(path, creat|excl, fdRead)
		}
	}
	if n := openBelow(t, inside); n != maxDescriptors-3-1 {
		t.Errorf("%d of the process's descriptors, after paths that lead nowhere", n)
	}
	w.in.Close()
	if n := openBelow(t, inside); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}

	var dirs []Dir
	for range maxDescriptors - 3 {
		dirs = append(dirs, Dir{inside, false})
	}
	m := load(t, wasiText(hostcall.WASI))
	for want, dirs := range map[string][]Dir{"": dirs, "can't give the directory": append(dirs, dirs[0])} {
		in, err := m.NewInstance(Config{Function: "filter", Dirs: dirs})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d directories: %v", len(dirs), err)
		}
		if err == nil {
			in.Close()
		}
	}
	if n := openBelow(t, inside); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
}

func TestDirectoryThatIsNotThere(t *testing.T) {
	m := load(t, wasiText(hostcall.WASI))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/not/there": "no such file or directory", file: "not a directory"} {
		_, err := m.NewInstance(Config{Function: "filter", Dirs: []Dir{{path, false}}})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("can't give the directory %q to the module: %s", path, want)) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Every function, with every kind of hostile number: it answers, whatever it is.
func TestWASIHostileArguments(t *testing.T) {
	const end = 4 * pageBytes
	values := []uint64{0, 1, 2, 3, 4, 5, 64, 1024, end - 1, end - 4, end - 64, end, end + 1, math.MaxInt32, 1 << 31, math.MaxUint32 - 7, math.MaxUint32,
		math.MaxInt64, 1 << 63, math.MaxUint64}
	random := rand.New(rand.NewPCG(5, 6))
	for _, module := range []string{hostcall.WASI, hostcall.WASIUnstable} {
		inside, outside := tree(t)
		before := contents(t, outside)
		w := newWASIOf(t, module, Config{Dirs: []Dir{{inside, true}}, Env: []string{"A=b"}})
		for _, name := range hostcall.Names(module) {
			if name == "proc_exit" {
				continue
			}
			params, _, _ := strings.Cut(strings.TrimPrefix(hostcall.Types(module, name)[0], "func "), " -> ")
			errnos := make(map[int]int)
			for range 500 {
				if random.IntN(20) == 0 { // it may have closed what it had
					w.in.Close()
					w = newWASIOf(t, module, Config{Dirs: []Dir{{inside, true}}, Env: []string{"A=b"}})
				}
				data := w.data()
				clear(data)
				copy(data[64:], "\x00\x04\x00\x00\x10\x00\x00\x00\x00\x04\x00\x00\xff\xff\xff\xff") // buffers
				copy(data[1024:], "../outside/file")
				var args []any
				for typ := range strings.FieldsSeq(strings.Trim(params, "()")) {
					v := values[random.IntN(len(values))]
					if strings.HasPrefix(typ, "i64") {
						args = append(args, v)
					} else {
						args = append(args, int(int32(uint32(v))))
					}
				}
				errno, _ := w.call(name, args...)
				errnos[errno]++
			}
			if strings.Contains(params, "i32, i32") && name != "args_get" && errnos[errnoFault] == 0 && errnos[errnoBadf] == 0 && errnos[errnoInval] == 0 {
				t.Errorf("%s refused nothing: %v", name, errnos)
			}
		}
		if after := contents(t, outside); !slices.Equal(before, after) {
			t.Errorf("what is outside has changed: %q", after)
		}
	}
}

// Where memory ends, and what has no such number.
func TestWASIArguments(t *testing.T) {
	inside, _ := tree(t)
	const end = 4 * pageBytes
	for _, test := range []struct {
		name string
		args []any
		want int
	}{
		{"clock_time_get", []any{0, uint64(0), end - 8}, errnoSuccess},
		{"clock_time_get", []any{0, uint64(0), end - 7}, errnoFault},
		{"clock_time_get", []any{0, uint64(0), -1}, errnoFault},
		{"clock_time_get", []any{4, uint64(0), 0}, errnoInval},
		{"clock_res_get", []any{3, end - 8}, errnoSuccess},
		{"clock_res_get", []any{4, 0}, errnoInval},
		{"random_get", []any{0, end}, errnoSuccess},
		{"random_get", []any{1, end}, errnoFault},
		{"random_get", []any{end, 0}, errnoSuccess},
		{"random_get", []any{-1, -1}, errnoFault},
		{"environ_get", []any{end - 4, 0}, errnoSuccess},
		{"environ_get", []any{end - 3, 0}, errnoFault},
		{"environ_get", []any{0, end - 4}, errnoSuccess},
		{"environ_get", []any{0, end - 3}, errnoFault},
		{"environ_sizes_get", []any{0, end - 3}, errnoFault},
		{"fd_fdstat_get", []any{3, end - 24}, errnoSuccess},
		{"fd_fdstat_get", []any{3, end - 23}, errnoFault},
		{"fd_filestat_get", []any{3, end - 64}, errnoSuccess},
		{"fd_filestat_get", []any{3, end - 63}, errnoFault},
		{"fd_prestat_get", []any{3, end - 8}, errnoSuccess},
		{"fd_prestat_get", []any{3, end - 7}, errnoFault},
		{"fd_prestat_dir_name", []any{3, end - len(inside), len(inside)}, errnoSuccess},
		{"fd_prestat_dir_name", []any{3, end - len(inside) + 1, len(inside)}, errnoFault},
		{"fd_readdir", []any{3, end - 100, 100, uint64(0), 0}, errnoSuccess},
		{"fd_readdir", []any{3, end - 99, 100, uint64(0), 0}, errnoFault},
		{"fd_readdir", []any{3, 0, 100, uint64(math.MaxUint64), 200}, errnoSuccess}, // none is left
		{"fd_seek", []any{4, uint64(1 << 63), 0, 0}, errnoInval},
		{"fd_seek", []any{4, uint64(0), 3, 0}, errnoInval},
		{"fd_seek", []any{4, uint64(0), 0, end - 7}, errnoFault},
		{"fd_pread", []any{4, buffers{1}, uint64(math.MaxInt64) + 1, out(4)}, errnoInval},
		{"fd_write", []any{1, end - 8, 1, 0}, errnoSuccess},
		{"fd_write", []any{1, end - 7, 1, 0}, errnoFault},
		{"fd_write", []any{1, 0, 1024, end - 4}, errnoSuccess},
		{"fd_write", []any{1, 0, 1024, end - 3}, errnoFault},
		{"fd_write", []any{1, 0, 1025, 0}, errnoInval},
		{"fd_write", []any{1, 0, -1, 0}, errnoInval},
		{"fd_read", []any{0, 0, -1, 0}, errnoInval},
		{"fd_advise", []any{4, uint64(0), uint64(0), 6}, errnoInval},
		{"fd_fdstat_set_flags", []any{4, 32}, errnoInval},
		{"fd_filestat_set_size", []any{4, uint64(1 << 63)}, errnoInval},
		{"fd_filestat_set_times", []any{4, uint64(0), uint64(0), 16}, errnoInval},
		{"path_open", []any{3, 2, "file", 0, uint64(fdRead), uint64(0), 0, out(4)}, errnoInval},
		{"path_open", []any{3, 0, "file", 16, uint64(fdRead), uint64(0), 0, out(4)}, errnoInval},
		{"path_open", []any{3, 0, "file", 0, uint64(fdRead), uint64(0), 32, out(4)}, errnoInval},
		{"path_open", []any{3, 0, "file", 0, uint64(fdRead), uint64(0), 0, end - 3}, errnoFault},
		{"path_open", []any{3, 0, end - 3, 4, 0, uint64(fdRead), uint64(0), 0, out(4)}, errnoFault},
		{"path_open", []any{3, 0, 0, -1, 0, uint64(fdRead), uint64(0), 0, out(4)}, errnoFault},
		{"path_open", []any{3, 0, strings.Repeat("x", 4096), 0, uint64(fdRead), uint64(0), 0, out(4)}, errnoNametoolong},
		{"path_open", []any{3, 0, strings.Repeat("x", 4095), 0, uint64(fdRead), uint64(0), 0, out(4)}, errnoNametoolong},
		{"path_open", []any{3, 0, strings.Repeat("./", 2045) + "file", 0, uint64(fdRead), uint64(0), 0, out(4)}, errnoSuccess},
		{"path_filestat_get", []any{3, 2, "file", out(64)}, errnoInval},
		{"path_filestat_get", []any{3, 0, "file", end - 63}, errnoFault},
		{"path_filestat_set_times", []any{3, 2, "file", uint64(0), uint64(0), 0}, errnoInval},
		{"path_readlink", []any{3, "to_file", end - 4, 4, 0}, errnoSuccess},
		{"path_readlink", []any{3, "to_file", end - 3, 4, 0}, errnoFault},
		{"path_readlink", []any{3, "to_file", 0, 4, end - 3}, errnoFault},
	} {
		for i, w := range []*wasi{
			newWASI(t, Config{Dirs: []Dir{{inside, true}}, Env: []string{"A=b"}}),
			newWalking(t, Config{Dirs: []Dir{{inside, true}}, Env: []string{"A=b"}}),
		} {
			w.mustOpen("file", 0, fdRead|fdWrite)
			clear(w.data())
			if got, _ := w.call(test.name, test.args...); got != test.want {
				t.Errorf("%d: %s%.100v: errno %d, want %d", i, test.name, test.args, got, test.want)
			}
		}
	}
}

// What is read into the list of buffers changes the list: where the next buffer then is
// outside memory, nothing is read into it.
func TestBuffersOverTheirList(t *testing.T) {
	dir := t.TempDir()
	buffer := func(at, n uint32) []byte {
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, at), n)
	}
	for name, test := range map[string]struct {
		at, n uint32
		want  int
	}{
		"outside":       {1 << 30, 8, errnoFault},
		"over the edge": {4*pageBytes - 8, 9, errnoFault},
		"the end":       {4*pageBytes - 8, 8, errnoSuccess},
		"very long":     {4096, math.MaxUint32, errnoFault},
	} {
		if err := os.WriteFile(filepath.Join(dir, "file"), append(buffer(test.at, test.n), "12345678"...), 0o600); err != nil {
			t.Fatal(err)
		}
		w := newWASI(t, Config{Dirs: []Dir{{dir, false}}})
		fd := w.mustOpen("file", 0, fdRead)
		copy(w.data()[2048:], slices.Concat(buffer(2056, 8), buffer(3000, 8)))
		if errno, _ := w.call("fd_read", fd, 2048, 2, 0); errno != test.want {
			t.Errorf("%s: errno %d, want %d", name, errno, test.want)
		}
		if tail := w.data()[4*pageBytes-8:]; test.want == errnoSuccess && string(tail) != "12345678" {
			t.Errorf("%s: %q", name, tail)
		}
	}
}

// A read or write of many buffers is one of all of them, in parts.
func TestManyBuffers(t *testing.T) {
	dir := t.TempDir()
	w := newWASI(t, Config{Dirs: []Dir{{dir, true}}})
	random := rand.New(rand.NewPCG(7, 8))
	fd := w.mustOpen("file", creat, fdRead|fdWrite)
	var list buffers
	var want []byte
	for range 100 {
		b := make([]byte, random.IntN(2000))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		list = append(list, string(b))
		want = append(want, b...)
	}
	if n := binary.LittleEndian.Uint32(w.must("fd_write", fd, list, out(4))[0]); int(n) != len(want) {
		t.Errorf("%d bytes were written", n)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %d bytes", err, len(got))
	}
	for _, offset := range []uint64{0, 1, 12345} {
		written := w.must("fd_pread", fd, buffers{0, 10, 3000, 1, 50_000}, offset, out(4))
		n := len(written) - 1
		if got := binary.LittleEndian.Uint32(written[n]); int(got) != 53_011 {
			t.Errorf("%d bytes were read", got)
		}
		if !bytes.Equal(slices.Concat(written[:n]...), want[offset:offset+53_011]) {
			t.Error("other bytes than are there")
		}
	}
	// The rest of a file, which does not fill the buffers.
	w.must("fd_seek", fd, uint64(len(want)-100), 0, out(8))
	written := w.must("fd_read", fd, buffers{60, 60, 60}, out(4))
	if got := binary.LittleEndian.Uint32(written[3]); got != 100 || !bytes.Equal(slices.Concat(written[0], written[1][:40]), want[len(want)-100:]) {
		t.Errorf("%d bytes of the rest", got)
	}
}

// entries reads a directory with a buffer of n bytes, from a cookie on, as a libc does:
// what is cut at the end of the buffer is asked for again.
func (w *wasi) entries(fd, n int, cookie uint64) (names []string, cookies []uint64, types []byte) {
	w.Helper()
	for {
		written := w.must("fd_readdir", fd, out(n), n, cookie, out(4))
		used := binary.LittleEndian.Uint32(written[1])
		b, whole := written[0][:used], false
		for len(b) >= 24 {
			length := int(binary.LittleEndian.Uint32(b[16:]))
			if len(b) < 24+length {
				break
			}
			whole = true
			cookie = binary.LittleEndian.Uint64(b)
			names, cookies, types = append(names, string(b[24:24+length])), append(cookies, cookie), append(types, b[20])
			b = b[24+length:]
		}
		if int(used) < n {
			return names, cookies, types
		}
		if !whole {
			w.Fatalf("a buffer of %d bytes has room for no entry", n)
		}
	}
}

func TestReaddir(t *testing.T) {
	dir := t.TempDir()
	want := []string{".", ".."}
	for i := range 1000 {
		name := fmt.Sprintf("%d%s", i, strings.Repeat("x", i%40))
		if i == 500 {
			name = strings.Repeat("y", 255)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	slices.Sort(want)
	w := newWASI(t, Config{Dirs: []Dir{{dir, true}}})
	opened := w.mustOpen(".", directory, fdRead)
	for _, fd := range []int{3, opened} {
		for _, n := range []int{24 + 255, 300, 1000, 4096, 60_000} {
			names, cookies, types := w.entries(fd, n, 0)
			middle, _, _ := w.entries(fd, n, cookies[700])
			if !slices.Equal(middle, names[701:]) {
				t.Errorf("buffer of %d bytes: other entries from a cookie on", n)
			}
			for i, name := range names {
				if (types[i] == 3) != (name[0] == '.') || types[i] != 3 && types[i] != 4 {
					t.Errorf("%s: type %d", name, types[i])
				}
			}
			slices.Sort(names)
			if !slices.Equal(names, want) {
				t.Errorf("buffer of %d bytes: %d entries", n, len(names))
			}
		}
	}
	// What is removed while it is read, as by rm -r, makes no other entry missing.
	seen := make(map[string]bool)
	for cookie := uint64(0); ; {
		written := w.must("fd_readdir", opened, out(500), 500, cookie, out(4))
		used := binary.LittleEndian.Uint32(written[1])
		for b := written[0][:used]; len(b) >= 24; {
			length := int(binary.LittleEndian.Uint32(b[16:]))
			if len(b) < 24+length {
				break
			}
			cookie = binary.LittleEndian.Uint64(b)
			name := string(b[24 : 24+length])
			seen[name] = true
			if name[0] != '.' {
				w.must("path_unlink_file", 3, name)
			}
			b = b[24+length:]
		}
		if used < 500 {
			break
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d entries of %d were seen", len(seen), len(want))
	}
}

// Somebody swaps directories and links all the time: a path is found, or it is not, but
// never outside.
func TestPathsUnderRenames(t *testing.T) {
	inside, _ := tree(t)
	config := Config{Dirs: []Dir{{inside, true}}}
	kernel, walk := newWASI(t, config), newWalking(t, config)
	if err := os.MkdirAll(filepath.Join(inside, "a/b/c"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(inside, "swap"), 0o755); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		exchange := func(one, other string) {
			for _, r := range [][2]string{{one, "x"}, {other, one}, {"x", other}} {
				if err := os.Rename(filepath.Join(inside, r[0]), filepath.Join(inside, r[1])); err != nil {
					t.Error(err)
				}
			}
		}
		for {
			select {
			case <-stop:
				return
			default:
			}
			exchange("swap", "out")
			// From below a to above it, so that a/b/c/../../.. leads out of somewhere else.
			for _, r := range [][2]string{{"a/b", "b"}, {"b", "a/b"}} {
				if err := os.Rename(filepath.Join(inside, r[0]), filepath.Join(inside, r[1])); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 2000 {
		for _, w := range []*wasi{kernel, walk} {
			for _, path := range []string{"swap/file", "out/file", "swap/../outside/file", "a/b/c/../../../outside/file", "a/b/../../../outside/file"} {
				if errno, fd := w.open(path, 0, fdRead); errno == errnoSuccess {
					if content := w.must("fd_read", fd, buffers{100}, out(4))[0]; bytes.Contains(content, []byte("secret")) {
						t.Fatalf("%s: %q", path, content)
					}
					w.must("fd_close", fd)
				}
			}
			w.create("swap/new", false)
			w.errno("path_unlink_file", 3, "swap/file")
			w.errno("path_rename", 3, "file", 3, "swap/taken")
		}
	}
	close(stop)
	wg.Wait()
	for _, name := range []string{"file", "dir/file"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(inside), "outside", name)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"new", "taken"} {
		if _, err := os.Lstat(filepath.Join(filepath.Dir(inside), "outside", name)); err == nil {
			t.Errorf("%s was made outside", name)
		}
	}
}

// One call that would take long is left before it is done.
func TestLongCallsAreCut(t *testing.T) {
	dir := t.TempDir()
	// A file of 15 times 256 MB, with nothing in it but at its end.
	const pages = 4096
	const marker = pages*pageBytes - 4096
	large, err := os.Create(filepath.Join(dir, "large"))
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	const size = 15 * 256_000_000
	if _, err := large.WriteAt([]byte("end"), size); err != nil {
		t.Fatal(err)
	}
	// Links along each of which a walk goes down and up hundreds of times, each time up
	// from the beginning.
	const deep = 20
	if err := os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", deep)), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		target := strings.Repeat(strings.Repeat("d/", deep)+strings.Repeat("../", deep), 40)
		if i < 39 {
			target += fmt.Sprint(i + 1)
		}
		if err := os.Symlink(target, filepath.Join(dir, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	walkPaths = true
	defer func() { walkPaths = false }()
	for name, test := range map[string]struct{ imports, body string }{
		"path_filestat_get": {`(import "wasi_snapshot_preview1" "path_filestat_get" (func $f (param i32 i32 i32 i32 i32) (result i32)))`,
			fmt.Sprintf(`(i32.store8 (i32.const 2048) (i32.const 48))
			 (drop (call $f (i32.const 3) (i32.const 1) (i32.const 2048) (i32.const 1) (i32.const %d)))`, marker)},
		"random_get": {`(import "wasi_snapshot_preview1" "random_get" (func $f (param i32 i32) (result i32)))`,
			fmt.Sprintf(`(drop (call $f (i32.const 65536) (i32.const %d)))`, marker+4-65536)},
		"fd_read": {`(import "wasi_snapshot_preview1" "fd_read" (func $f (param i32 i32 i32 i32) (result i32)))`,
			`(local.set $i (i32.const 0))
			 (loop $l
			   (i32.store (i32.add (i32.const 2048) (i32.shl (local.get $i) (i32.const 3))) (i32.const 65536))
			   (i32.store (i32.add (i32.const 2052) (i32.shl (local.get $i) (i32.const 3))) (i32.const 256000000))
			   (local.set $i (i32.add (local.get $i) (i32.const 1)))
			   (br_if $l (i32.lt_u (local.get $i) (i32.const 15))))
			 (i32.store (i32.add (i32.const 2048) (i32.const 120)) (i32.const ` + fmt.Sprint(marker) + `))
			 (i32.store (i32.add (i32.const 2052) (i32.const 120)) (i32.const 3))
			 (drop (call $f (i32.load (i32.const 512)) (i32.const 2048) (i32.const 16) (i32.const 516)))`},
	} {
		t.Run(name, func(t *testing.T) {
			in := instantiate(t, `(module `+test.imports+`
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") `+fmt.Sprint(pages)+`)
  (data (i32.const 1024) "large")
  (func (export "malloc") (param i32) (result i32) (i32.const 16384))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $i i32)
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 5) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 512)))
    `+test.body+` (local.get 4)))`, Config{Dirs: []Dir{{dir, false}}, Timeout: 20 * time.Millisecond})
			b := Batch{In: []byte("{}")}
			defer b.Close()
			b.Add(0, 1, 2)
			if _, err := in.Run(nil, &b, 0, 1); err == nil || b.Records[0].Outcome != TimedOut {
				t.Fatalf("%v, %v", b.Records[0].Outcome, err)
			}
			memory := unsafe.Slice((*byte)(in.memoryData()), in.MemoryBytes())
			if tail := memory[marker : marker+3]; string(tail) != "\x00\x00\x00" {
				t.Errorf("the call was done: %q", tail)
			}
		})
	}
}

// Guests that do nothing but call functions of files are ended like others.
func TestTimeoutInFiles(t *testing.T) {
	inside, _ := tree(t)
	for i := range 500 {
		if err := os.WriteFile(filepath.Join(inside, "dir", fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	deep := strings.Repeat("dir/../", 500) + "file"
	for name, body := range map[string]string{
		"open and close": `(drop (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
			(drop (call $close (i32.load (i32.const 0))))`,
		"no descriptors left": `(drop (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))`,
		"deep paths":          fmt.Sprintf(`(drop (call $stat (i32.const 3) (i32.const 1) (i32.const 4096) (i32.const %d) (i32.const 512)))`, len(deep)),
		"readdir":             `(drop (call $readdir (i32.const 3) (i32.const 16384) (i32.const 30) (i64.const 0) (i32.const 0)))`,
		"readdir from far":    `(drop (call $readdir (i32.const 3) (i32.const 16384) (i32.const 30) (i64.const 9999999) (i32.const 0)))`,
		"nothing to read":     `(drop (call $read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0)))`,
	} {
		for _, walk := range []bool{false, true} {
			walkPaths = walk
			in := instantiate(t, `(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 100) "file") (data (i32.const 4096) "`+deep+`")
  (func (export "malloc") (param i32) (result i32) (i32.const 131072))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (loop $l `+body+` (br $l)) (local.get 4)))`,
				Config{Dirs: []Dir{{inside, false}}, Timeout: 20 * time.Millisecond})
			walkPaths = false
			b := Batch{In: []byte("{}")}
			b.Add(0, 1, 2)
			if _, err := in.Run(nil, &b, 0, 1); err == nil || b.Records[0].Outcome != TimedOut {
				t.Errorf("%s: %v, %v", name, b.Records[0].Outcome, err)
			}
			b.Close()
		}
	}
}

// A file that grows past the process's limit is an error of the guest's, not the end of
// the process.
func TestFileSizeLimit(t *testing.T) {
	if !child(t, "") {
		return
	}
	dir := t.TempDir()
	w := newWASI(t, Config{Dirs: []Dir{{dir, true}}})
	fd := w.mustOpen("file", creat, fdWrite)
	reset(t, syscall.SIGXFSZ) // which Go handles in a program of its own
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 10, Max: 10}); err != nil {
		t.Fatal(err)
	}
	// Its oracle is Linux: what fits is written, and then nothing.
	if n := binary.LittleEndian.Uint32(w.must("fd_write", fd, buffers{"0123456789abc"}, out(4))[0]); n != 10 {
		t.Errorf("%d bytes were written", n)
	}
	for name, errno := range map[string]int{
		"fd_write":             w.errno("fd_write", fd, buffers{"x"}, out(4)),
		"fd_pwrite":            w.errno("fd_pwrite", fd, buffers{"x"}, uint64(10), out(4)),
		"fd_filestat_set_size": w.errno("fd_filestat_set_size", fd, uint64(11)),
	} {
		if errno != errnoFbig {
			t.Errorf("%s: errno %d", name, errno)
		}
	}
}

// Calls of files start no threads.
func TestFilesStartNoThreads(t *testing.T) {
	if !child(t, "") {
		return
	}
	inside, _ := tree(t)
	w := newWASI(t, Config{Dirs: []Dir{{inside, true}}})
	fd := w.mustOpen("file", 0, fdRead|fdWrite)
	w.must("fd_read", fd, buffers{5}, out(4))
	w.must("fd_write", fd, buffers{"x"}, out(4))
	w.must("fd_sync", fd)
	w.entries(3, 1000, 0)
	tasks, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	for _, task := range tasks {
		if name, err := os.ReadFile(task); err == nil && strings.HasPrefix(string(name), "tokio") {
			t.Errorf("a thread %q", name)
		}
	}
}

// poll_oneoff believes no pointer and no count.
func TestPollArguments(t *testing.T) {
	for _, test := range []struct {
		args [4]int // subscriptions, events, count, result
		want int
	}{
		{[4]int{0, 4096, 1, 8192}, errnoSuccess},
		{[4]int{0, 4096, 64, 8192}, errnoSuccess},
		{[4]int{4*pageBytes - 48, 4096, 1, 8192}, errnoSuccess}, // ends with memory
		{[4]int{4*pageBytes - 47, 4096, 1, 8192}, errnoFault},
		{[4]int{-1, 4096, 1, 8192}, errnoFault},
		{[4]int{0, 4*pageBytes - 31, 1, 8192}, errnoFault},
		{[4]int{0, -32, 1, 8192}, errnoFault},
		{[4]int{0, 4096, 1, 4*pageBytes - 3}, errnoFault},
		{[4]int{0, 4096, 1, -1}, errnoFault},
		{[4]int{0, 0, 64, 8192}, errnoSuccess}, // events over subscriptions
		{[4]int{0, 4096, 0, 8192}, errnoInval},
		{[4]int{0, 4096, -1, 8192}, errnoInval},
		{[4]int{0, 4096, 65, 8192}, errnoInval},
		{[4]int{0, 4096, math.MaxInt32, 8192}, errnoInval},
	} {
		w := newWASI(t, Config{})
		if got := w.errno("poll_oneoff", test.args[0], test.args[1], test.args[2], test.args[3]); got != test.want {
			t.Errorf("poll_oneoff%v: %d, want %d", test.args, got, test.want)
		}
	}
}

// subscription makes one of either WASI. kind is 0 for a clock, whose number, time and
// flags follow, 1 and 2 for reading from and writing to a descriptor.
func subscription(older bool, userdata uint64, kind byte, number uint32, timeout uint64, flags uint16) []byte {
	b := binary.LittleEndian.AppendUint64(nil, userdata)
	b = append(b, kind, 0, 0, 0, 0, 0, 0, 0)
	if older && kind == 0 {
		b = binary.LittleEndian.AppendUint64(b, 99) // what it is known by, once more
	}
	b = binary.LittleEndian.AppendUint32(b, number)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, timeout)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint16(b, flags)
	size := 48
	if older {
		size = 56
	}
	return append(b, make([]byte, size-len(b))...)
}

// Which of the subscriptions come true: those that are ready, or the first clocks.
func TestPoll(t *testing.T) {
	const hour = 3600e9
	type event struct {
		userdata uint64
		errno    uint16
		kind     byte
		bytes    uint64
		flags    uint16
	}
	inside, _ := tree(t)
	for _, older := range []bool{false, true} {
		module := hostcall.WASI
		if older {
			module = hostcall.WASIUnstable
		}
		sub := func(userdata uint64, kind byte, number uint32, timeout uint64, flags uint16) []byte {
			return subscription(older, userdata, kind, number, timeout, flags)
		}
		for name, test := range map[string]struct {
			subscriptions [][]byte
			want          []event
			errno         int
		}{
			"the first clock":       {[][]byte{sub(1, 0, 1, hour, 0), sub(2, 0, 0, 1000, 0)}, []event{{userdata: 2}}, 0},
			"a clock and a file":    {[][]byte{sub(1, 0, 1, 1, 0), sub(2, 1, 4, 0, 0)}, []event{{2, 0, 1, 15, 0}}, 0},
			"a time that has come":  {[][]byte{sub(1, 0, 0, 1, 1), sub(2, 0, 1, 1, 1), sub(3, 0, 0, hour, 0)}, []event{{userdata: 1}, {userdata: 2}}, 0},
			"a time that comes":     {[][]byte{sub(1, 0, 0, math.MaxUint64, 1), sub(2, 0, 1, 0, 0)}, []event{{userdata: 2}}, 0},
			"streams":               {[][]byte{sub(1, 1, 0, 0, 0), sub(2, 2, 1, 0, 0), sub(3, 2, 2, 0, 0)}, []event{{1, 0, 1, 0, 1}, {2, 0, 2, 1, 0}, {3, 0, 2, 1, 0}}, 0},
			"streams the other way": {[][]byte{sub(1, 2, 0, 0, 0), sub(2, 1, 1, 0, 0)}, []event{{1, errnoBadf, 2, 0, 0}, {2, errnoBadf, 1, 0, 0}}, 0},
			"what can't be read":    {[][]byte{sub(1, 1, 3, 0, 0), sub(2, 1, 77, 0, 0), sub(3, 2, 4, 0, 0)}, []event{{1, errnoBadf, 1, 0, 0}, {2, errnoBadf, 1, 0, 0}, {3, 0, 2, 1, 0}}, 0},
			"no such clock":         {[][]byte{sub(1, 0, 4, 0, 0)}, nil, errnoInval},
			"nobody's time":         {[][]byte{sub(1, 0, 2, 0, 0)}, nil, errnoInval},
			"no such kind":          {[][]byte{sub(1, 3, 4, 0, 0)}, nil, errnoInval},
		} {
			w := newWASIOf(t, module, Config{Dirs: []Dir{{inside, false}}})
			w.mustOpen("file", 0, fdRead)
			from := slices.Concat(test.subscriptions...)
			copy(w.data()[8192:], from)
			n := len(test.subscriptions)
			errno, written := w.call("poll_oneoff", 8192, out(32*n), n, out(4))
			if errno != test.errno {
				t.Errorf("%s, %s: errno %d", module, name, errno)
			}
			if errno != errnoSuccess {
				continue
			}
			var got []event
			for b := written[0][:32*binary.LittleEndian.Uint32(written[1])]; len(b) > 0; b = b[32:] {
				got = append(got, event{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:]), b[10],
					binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint16(b[24:])})
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s, %s: %v, want %v", module, name, got, test.want)
			}
		}
	}
}

// The older WASI differs in how it counts links and numbers the ways to seek.
func TestOlderWASILayouts(t *testing.T) {
	inside, _ := tree(t)
	if err := os.Link(filepath.Join(inside, "file"), filepath.Join(inside, "linked")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(inside, "file"))
	if err != nil {
		t.Fatal(err)
	}
	host := info.Sys().(*syscall.Stat_t)
	w := newWASIOf(t, hostcall.WASIUnstable, Config{Dirs: []Dir{{inside, false}}})
	fd := w.mustOpen("file", 0, fdRead)
	for name, b := range map[string][]byte{
		"fd_filestat_get":   w.must("fd_filestat_get", fd, out(56))[0],
		"path_filestat_get": w.must("path_filestat_get", 3, 0, "file", out(56))[0],
	} {
		le := binary.LittleEndian
		want := []uint64{host.Dev, host.Ino, 4, 2, 15, uint64(info.ModTime().UnixNano())}
		got := []uint64{le.Uint64(b), le.Uint64(b[8:]), uint64(b[16]), uint64(le.Uint32(b[20:])), le.Uint64(b[24:]), le.Uint64(b[40:])}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, seek := range []struct {
		offset, whence int
		want           uint64
	}{{4, 2, 4}, {3, 0, 7}, {-1, 1, 14}} { // set, cur, end
		if got := binary.LittleEndian.Uint64(w.must("fd_seek", fd, uint64(int64(seek.offset)), seek.whence, out(8))[0]); got != seek.want {
			t.Errorf("%+v: %d", seek, got)
		}
	}
}

// The clocks are the host's.
func TestClocks(t *testing.T) {
	w := newWASI(t, Config{})
	read := func(id int) uint64 {
		return binary.LittleEndian.Uint64(w.must("clock_time_get", id, uint64(0), out(8))[0])
	}
	before := uint64(time.Now().UnixNano())
	got := read(0)
	if after := uint64(time.Now().UnixNano()); got < before || got > after {
		t.Errorf("%d is not between %d and %d", got, before, after)
	}
	for id := 1; id < 4; id++ {
		if one, other := read(id), read(id); one == 0 || one > other {
			t.Errorf("clock %d: %d, then %d", id, one, other)
		}
		if resolution := binary.LittleEndian.Uint64(w.must("clock_res_get", id, out(8))[0]); resolution == 0 || resolution > 1e9 {
			t.Errorf("clock %d: resolution %d", id, resolution)
		}
	}
}

// Two fills of random bytes have nothing in common, in any part.
func TestRandomBytes(t *testing.T) {
	w := newWASI(t, Config{})
	const n = 100_000
	a, b := w.must("random_get", out(n), n)[0], w.must("random_get", out(n), n)[0]
	for i := 0; i < n; i += 16 {
		if bytes.Equal(a[i:i+16], b[i:i+16]) || bytes.Equal(a[i:i+16], make([]byte, 16)) {
			t.Fatalf("at %d: % x, % x", i, a[i:i+16], b[i:i+16])
		}
	}
}

// AssemblyScript's strings are UTF-16; what is no text reads as U+FFFD, and what can't
// be printed as an escape.
func TestAbortText(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 50 {
		units := make([]uint16, random.IntN(40))
		for i := range units {
			units[i] = uint16([]int{'a', '\n', 0, 0x7f, 0xe9, 0x20ac, 0xd83d, 0xde00, 0xd800, 0xdfff, 0xffff, 0x7ff, 0x800}[random.IntN(13)])
		}
		data := binary.LittleEndian.AppendUint32(nil, uint32(2*len(units)))
		for _, u := range units {
			data = binary.LittleEndian.AppendUint16(data, u)
		}
		var escaped strings.Builder
		for _, c := range data {
			fmt.Fprintf(&escaped, `\%02x`, c)
		}
		in := instantiate(t, `(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 1000) "`+escaped.String()+`")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $abort (i32.const 1004) (i32.const 1004) (i32.const 7) (i32.const -3)) (i32.const 0)))`, Config{})
		b := Batch{In: []byte("{}")}
		b.Add(0, 0, 0)
		text := hostlog.Printable(string(utf16.Decode(units)), hostlog.MaxTextBytes)
		if _, err := in.Run(nil, &b, 0, 1); err == nil || err.Error() != "abort: "+text+" in "+text+":7:-3" {
			t.Errorf("% x: %q", units, err)
		}
		b.Close()
	}
}

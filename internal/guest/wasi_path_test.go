package guest

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pathWords are what the paths of the tests below are made of: what is in tree, what is
// not, and what goes up.
var pathWords = []string{
	".", "..", "dir", "sub", "file", "empty", "to_file", "to_dir", "up", "to_sub", "top", "dangling", "loop", "loop1",
	"absolute", "out", "out_file", "out_and_in", "root", "chain", "slash", "dir_slash", "outside", "inside", "new", "new2", "", "pipe",
}

// makePath makes a path of bytes.
func makePath(b []byte) string {
	var words []string
	for _, c := range b {
		words = append(words, pathWords[int(c)%len(pathWords)])
	}
	return strings.Join(words, "/")
}

// rootErrno returns what os.Root's error is to WASI; -1 where it is not of the kernel's.
func rootErrno(err error) int {
	var errno syscall.Errno
	switch {
	case err == nil:
		return errnoSuccess
	case strings.Contains(err.Error(), "escapes"):
		return errnoPerm
	case errors.As(err, &errno):
		if wasi, ok := map[syscall.Errno]int{
			syscall.ENOENT: errnoNoent, syscall.ENOTDIR: errnoNotdir, syscall.ELOOP: errnoLoop, syscall.EEXIST: errnoExist,
			syscall.EISDIR: errnoIsdir, syscall.EINVAL: errnoInval, syscall.ENAMETOOLONG: errnoNametoolong, syscall.EPERM: errnoPerm,
		}[errno]; ok {
			return wasi
		}
	}
	return -1
}

// checkPath compares where a path leads: by the kernel, by the walk, and by os.Root.
func checkPath(t *testing.T, kernel, walk *wasi, root *os.Root, path string) {
	t.Helper()
	for flags, stat := range []func(string) (fs.FileInfo, error){root.Lstat, root.Stat} {
		errno, written := kernel.call("path_filestat_get", 3, flags, path, out(64))
		walked, walkedWritten := walk.call("path_filestat_get", 3, flags, path, out(64))
		if errno != walked || errno == errnoSuccess && cmp.Diff(written, walkedWritten) != "" {
			t.Errorf("%q, flags %d: errno %d, walked %d\n%s", path, flags, errno, walked, cmp.Diff(written, walkedWritten))
		}
		info, err := stat(path)
		if (err == nil) != (errno == errnoSuccess) {
			t.Errorf("%q, flags %d: errno %d, os.Root says %v", path, flags, errno, err)
			continue
		}
		if err == nil {
			got := binary.LittleEndian.Uint64(written[0][8:])
			if want := info.Sys().(*syscall.Stat_t).Ino; got != want {
				t.Errorf("%q, flags %d: inode %d, os.Root says %d", path, flags, got, want)
			}
		} else if want := rootErrno(err); want == errnoPerm && errno != errnoPerm {
			t.Errorf("%q, flags %d: errno %d, os.Root says %v", path, flags, errno, err)
		}
	}
}

// pathGuests are guests of one tree, and os.Root of it.
func pathGuests(tb testing.TB) (kernel, walk *wasi, root *os.Root) {
	inside, _ := tree(tb)
	if err := syscall.Mkfifo(filepath.Join(inside, "dir", "pipe"), 0o600); err != nil {
		tb.Fatal(err)
	}
	root, err := os.OpenRoot(inside)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { root.Close() })
	config := Config{Dirs: []Dir{{Path: inside}}}
	return newWASI(tb, config), newWalking(tb, config), root
}

func TestPathsLeadWhereOSRootsDo(t *testing.T) {
	kernel, walk, root := pathGuests(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		path := make([]byte, 1+random.IntN(7))
		for i := range path {
			path[i] = byte(random.IntN(len(pathWords)))
		}
		checkPath(t, kernel, walk, root, makePath(path))
	}
}

func FuzzPaths(f *testing.F) {
	for _, path := range []string{"dir/up/file", "out/file", "chain", "dir/../../inside/file", "to_dir/out/dir", "dir//sub/./top/", "absolute", "loop1/.."} {
		var b []byte
		for word := range strings.SplitSeq(path, "/") {
			b = append(b, byte(slices.Index(pathWords, word)))
		}
		f.Add(b)
	}
	kernel, walk, root := pathGuests(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= 64 {
			kernel.TB, walk.TB = t, t
			checkPath(t, kernel, walk, root, makePath(b))
		}
	})
}

// A changer changes a tree. Each answers the errno.
type changer interface {
	create(path string, exclusive bool) int
	mkdir(path string) int
	unlink(path string) int
	rmdir(path string) int
	rename(from, to string) int
	link(from, to string) int
	symlink(target, path string) int
}

func (w *wasi) errno(name string, args ...any) int {
	errno, _ := w.call(name, args...)
	return errno
}

func (w *wasi) create(path string, exclusive bool) int {
	oflags := creat
	if exclusive {
		oflags |= excl
	}
	errno, fd := w.open(path, oflags, fdWrite)
	if errno == errnoSuccess {
		w.must("fd_write", fd, buffers{"created"}, out(4))
		w.must("fd_close", fd)
	}
	return errno
}

func (w *wasi) mkdir(path string) int  { return w.errno("path_create_directory", 3, path) }
func (w *wasi) unlink(path string) int { return w.errno("path_unlink_file", 3, path) }
func (w *wasi) rmdir(path string) int  { return w.errno("path_remove_directory", 3, path) }
func (w *wasi) rename(from, to string) int {
	return w.errno("path_rename", 3, from, 3, to)
}
func (w *wasi) link(from, to string) int { return w.errno("path_link", 3, 0, from, 3, to) }
func (w *wasi) symlink(target, path string) int {
	return w.errno("path_symlink", target, 3, path)
}

// rootChanger changes a tree by os.Root, whose Remove is for both kinds of file.
type rootChanger struct{ *os.Root }

func (r rootChanger) create(path string, exclusive bool) int {
	flags := os.O_WRONLY | os.O_CREATE
	if exclusive {
		flags |= os.O_EXCL
	}
	f, err := r.OpenFile(path, flags, 0o666)
	if err == nil {
		_, err = f.WriteString("created")
		f.Close()
	}
	return rootErrno(err)
}

func (r rootChanger) isDir(path string) bool {
	info, err := r.Lstat(strings.TrimRight(path, "/"))
	return err == nil && info.IsDir()
}

func (r rootChanger) mkdir(path string) int { return rootErrno(r.Mkdir(path, 0o777)) }
func (r rootChanger) unlink(path string) int {
	if r.isDir(path) {
		return errnoIsdir
	}
	return rootErrno(r.Remove(path))
}
func (r rootChanger) rmdir(path string) int {
	if !r.isDir(path) {
		return errnoNotdir
	}
	return rootErrno(r.Remove(path))
}

// rename renames by os.Root, which refuses a directory in the place of a directory, also of itself (os.Rename): here that place
// is made free first.
func (r rootChanger) rename(from, to string) int {
	const aside = "aside"
	if !r.isDir(from) || !r.isDir(to) {
		return rootErrno(r.Rename(from, to))
	}
	if r.same(from, to) && !endsInDots(from) && !endsInDots(to) {
		return errnoSuccess
	}
	if err := r.Rename(to, aside); err != nil {
		return rootErrno(err)
	}
	to = strings.TrimRight(to, "/")
	err := r.Rename(from, to)
	if err == nil {
		if err = r.Remove(aside); err == nil {
			return errnoSuccess
		}
		if err := r.Rename(to, from); err != nil {
			panic(err)
		}
	}
	if err := r.Rename(aside, to); err != nil {
		panic(err)
	}
	return rootErrno(err)
}

// endsInDots tells whether a path's last name is . or .., which no rename takes.
func endsInDots(path string) bool {
	path = strings.TrimRight(path, "/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	return name == "." || name == ".."
}

func (r rootChanger) same(one, other string) bool {
	a, errA := r.Lstat(strings.TrimRight(one, "/"))
	b, errB := r.Lstat(strings.TrimRight(other, "/"))
	return errA == nil && errB == nil && os.SameFile(a, b)
}

func (r rootChanger) link(from, to string) int { return rootErrno(r.Link(from, to)) }
func (r rootChanger) symlink(target, path string) int {
	if strings.HasPrefix(target, "/") { // which os.Root makes, and does not follow
		return errnoPerm
	}
	return rootErrno(r.Symlink(target, path))
}

// checkChanges makes the same changes in three trees: by the kernel's resolution, by the
// walk, and by os.Root. They are the same afterwards, and nothing outside has changed.
func checkChanges(t *testing.T, script []byte) {
	t.Helper()
	type guest struct {
		changer
		inside, outside string
	}
	var guests []guest
	var before []string
	for i := range 3 {
		inside, outside := tree(t)
		before = contents(t, outside)
		config := Config{Dirs: []Dir{{Path: inside, Writable: true}}}
		switch i {
		case 0:
			guests = append(guests, guest{newWASI(t, config), inside, outside})
		case 1:
			guests = append(guests, guest{newWalking(t, config), inside, outside})
		default:
			root, err := os.OpenRoot(inside)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			guests = append(guests, guest{rootChanger{root}, inside, outside})
		}
	}
	for len(script) >= 8 {
		op, one, other := script[0], makePath(script[1:1+1+script[1]%3]), makePath(script[4:4+1+script[4]%4])
		script = script[8:]
		var errnos [3]int
		var what string
		for i, g := range guests {
			switch op % 8 {
			case 0, 1:
				what, errnos[i] = "create "+one, g.create(one, op%2 == 1)
			case 2:
				what, errnos[i] = "mkdir "+one, g.mkdir(one)
			case 3:
				what, errnos[i] = "unlink "+one, g.unlink(one)
			case 4:
				what, errnos[i] = "rmdir "+one, g.rmdir(one)
			case 5:
				what, errnos[i] = "rename "+one+" "+other, g.rename(one, other)
			case 6:
				what, errnos[i] = "link "+one+" "+other, g.link(one, other)
			case 7:
				what, errnos[i] = "symlink "+other+" "+one, g.symlink(other, one)
			}
		}
		if errnos[0] != errnos[1] || (errnos[0] == errnoSuccess) != (errnos[2] == errnoSuccess) {
			t.Errorf("%s: errno %d, walked %d, os.Root %d", what, errnos[0], errnos[1], errnos[2])
			return // the trees differ
		}
		want := contents(t, guests[2].inside)
		for i, g := range guests[:2] {
			if diff := cmp.Diff(want, contents(t, g.inside)); diff != "" {
				t.Fatalf("%s: %d: -os.Root +got\n%s", what, i, diff)
			}
			if diff := cmp.Diff(before, contents(t, g.outside)); diff != "" {
				t.Fatalf("%s: %d: what is outside has changed\n%s", what, i, diff)
			}
		}
	}
}

func TestChangesAreOSRoots(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		script := make([]byte, 8*40)
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		checkChanges(t, script)
		if t.Failed() {
			return
		}
	}
}

func FuzzChanges(f *testing.F) {
	f.Add([]byte{0, 24, 24, 0, 0, 0, 0, 0, 2, 25, 25, 0, 0, 0, 0, 0, 5, 2, 2, 0, 24, 24, 24, 24})
	// mkdir new, rename new new, rename new dir//, rename empty new
	f.Add([]byte{2, 24, 0, 0, 0, 0, 0, 0, 5, 24, 0, 0, 24, 0, 0, 0, 5, 24, 0, 0, 2, 26, 26, 0, 5, 33, 0, 0, 24, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) <= 8*20 {
			checkChanges(t, script)
		}
	})
}

// What a link leads to outside can't be found out, not even whether it is there.
func TestLinksTellNothing(t *testing.T) {
	inside, _ := tree(t)
	for i, w := range []*wasi{newWASI(t, Config{Dirs: []Dir{{inside, true}}}), newWalking(t, Config{Dirs: []Dir{{inside, true}}})} {
		for name, try := range map[string]func(path string) int{
			"open":   func(path string) int { errno, _ := w.open(path, 0, fdRead); return errno },
			"create": func(path string) int { return w.create(path, false) },
			"stat":   func(path string) int { return w.errno("path_filestat_get", 3, follow, path, out(64)) },
			"times": func(path string) int {
				return w.errno("path_filestat_set_times", 3, follow, path, uint64(0), uint64(0), 10)
			},
			"times/": func(path string) int {
				return w.errno("path_filestat_set_times", 3, 0, path+"/", uint64(0), uint64(0), 10)
			},
			"stat/":     func(path string) int { return w.errno("path_filestat_get", 3, 0, path+"/", out(64)) },
			"link/":     func(path string) int { return w.link(path+"/", "new") },
			"readlink":  func(path string) int { return w.errno("path_readlink", 3, path+"/", out(100), 100, out(4)) },
			"mkdir":     func(path string) int { return w.mkdir(path + "/") },
			"unlink":    func(path string) int { return w.unlink(path + "/") },
			"rmdir":     func(path string) int { return w.rmdir(path + "/") },
			"rename":    func(path string) int { return w.rename(path+"/", "new") },
			"rename to": func(path string) int { return w.rename("dir", path+"/") },
		} {
			file, nothing, directory := try("out_file"), try("out_dangling"), try("out")
			if file == errnoSuccess || file != nothing || file != directory {
				t.Errorf("%d: %s: errno %d of a file, %d of nothing, %d of a directory", i, name, file, nothing, directory)
			}
		}
	}
}

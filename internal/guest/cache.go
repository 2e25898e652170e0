package guest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
)

const (
	cacheSuffix = ".cwasm"
	cacheTemp   = ".new-"

	// Beyond this the entries that were not used for longest are removed.
	maxCacheBytes = 1 << 30

	// A file that is still being written after so long was left by a process that
	// has died.
	cacheTempLife = time.Hour

	// cacheLock is a file of which each module's process locks a byte while it compiles.
	cacheLock = "lock"

	lockOfOpenFile = 37 // F_OFD_SETLK (linux/fcntl.h)

	// CacheAuto as a Source.CacheDir has a place of the user's looked for.
	CacheAuto = "auto"

	// autoName is the directory in such a place.
	autoName = "flb-wasmtime"
)

// compileWait is how long to wait for another process that compiles the module: one that is stopped
// must not keep this one from starting. A variable for the tests' sake.
var compileWait = 30 * time.Second

// cache is a directory of compiled modules. Entries are machine code that is run:
// nobody but the user may be able to write there.
type cache struct {
	root *os.Root
	dir  string
	name string // of the entry for the module at hand
}

// openCache opens the directory, which is made if only its last part is not there, for the code
// of one module; for CacheAuto, a directory in the first place that will do. It is an error if it is
// not the user's alone, or if the module may write there.
func openCache(s Source, wasm []byte) (*cache, error) {
	if s.CacheDir != CacheAuto {
		return openCacheDir(s.CacheDir, s.Writable, wasm)
	}
	var reasons []error
	for _, place := range cachePlaces(os.Getenv) {
		err := place.prepare()
		if err == nil {
			var c *cache
			if c, err = openCacheDir(filepath.Join(place.dir, autoName), s.Writable, wasm); err == nil {
				return c, nil
			}
		}
		reasons = append(reasons, err)
	}
	return nil, fmt.Errorf("no place for it: %w", errors.Join(reasons...))
}

// A variable for the tests' sake.
var systemCache = "/var/cache"

// A cachePlace is a directory that may hold a cache.
type cachePlace struct {
	dir string
	new bool // it is made if the directory above it is there
}

// cachePlaces are those that auto means, the first one first: what the service manager has made for
// the service, the user's cache, the system's.
func cachePlaces(getenv func(string) string) []cachePlace {
	var places []cachePlace
	add := func(dir string, new bool) {
		if filepath.IsAbs(dir) {
			places = append(places, cachePlace{filepath.Clean(dir), new})
		}
	}
	service, _, _ := strings.Cut(getenv("CACHE_DIRECTORY"), ":") // systemd.exec(5)
	add(service, false)
	if dir := getenv("XDG_CACHE_HOME"); dir != "" {
		add(dir, true)
	} else if home := getenv("HOME"); home != "" {
		add(filepath.Join(home, ".cache"), true)
	}
	add(systemCache, false)
	return places
}

// prepare makes the place, if it may, and says what is wrong with it: nobody but the user and root
// may be able to put another directory there.
func (p cachePlace) prepare() error {
	if p.new {
		if err := onlyUserWrites(filepath.Dir(p.dir)); err != nil {
			return err
		}
		if err := os.Mkdir(p.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return onlyUserWrites(p.dir)
}

func onlyUserWrites(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	uid, mode := int(info.Sys().(*syscall.Stat_t).Uid), info.Mode().Perm()
	if (uid != os.Geteuid() && uid != 0) || mode&0o022 != 0 {
		return fmt.Errorf("others may write to %s (user %d, mode %#o)", dir, uid, mode)
	}
	return nil
}

// reachable returns the first of the directories that dir is or lies in; "" for none.
func reachable(dir string, from []string) string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		real = dir
	}
	for _, granted := range from {
		at, err := filepath.EvalSymlinks(granted)
		if err != nil {
			continue // which the module does not start with
		}
		if at, err = filepath.Abs(at); err != nil {
			continue
		}
		if real, err = filepath.Abs(real); err != nil {
			continue
		}
		if rel, err := filepath.Rel(at, real); err == nil && filepath.IsLocal(rel) {
			return granted
		}
	}
	return ""
}

func openCacheDir(dir string, writable []string, wasm []byte) (*cache, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	c := &cache{root: root, dir: dir}
	err = c.private()
	if granted := reachable(dir, writable); err == nil && granted != "" {
		err = fmt.Errorf("the module may write to %s (accessible_paths %s:rw), and code is run from there: name another directory", dir, granted)
	}
	if err == nil {
		c.name, err = entryName(wasm)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return c, nil
}

// private looks at the directory that is open, not at what its name stands for by
// now.
func (c *cache) private() error {
	info, err := c.root.Stat(".")
	if err != nil {
		return err
	}
	if uid, user := int(info.Sys().(*syscall.Stat_t).Uid), os.Geteuid(); uid != user {
		return fmt.Errorf("%s belongs to user %d, and this is user %d: %s", c.dir, uid, user, c.advice())
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s is open to other users (mode %#o): %s", c.dir, mode, c.advice())
	}
	return nil
}

// advice is what to do about a directory that can't be used. Not to change its mode:
// others may use it too.
func (c *cache) advice() string {
	return fmt.Sprintf("name a directory that is not there yet, such as %s; it is made, for this user alone",
		filepath.Join(c.dir, "flb-wasmtime"))
}

// fingerprint stands for everything that code depends on besides its module: the
// engine's version and settings, the CPU. wasmtime writes all of that down with
// each module, so it is the hash of one that never changes.
var fingerprint = sync.OnceValues(func() ([sha256.Size]byte, error) {
	code, err := trapModule.Serialize()
	return sha256.Sum256(code), err
})

// entryName is the name of a module's entry. The engines of a process differ in the size of
// stacks only, which code does not depend on. Of its version wasmtime writes down the first
// number, so the whole is added: programs with two engines don't write over each other's entries.
func entryName(wasm []byte) (string, error) {
	print, err := fingerprint()
	if err != nil {
		return "", err
	}
	module := sha256.Sum256(wasm)
	return hexSum(slices.Concat([]byte(precompiledMagic+capi.Version), print[:], module[:])) + cacheSuffix, nil
}

func (c *cache) close() { c.root.Close() }

// errCompiling says that another process compiles for too long.
var errCompiling = errors.New("another process has been compiling it for too long")

// claim waits until no other process compiles the module, and keeps others waiting until the file
// that it returns is closed, or the process ends.
func (c *cache) claim() (io.Closer, error) {
	file, err := c.root.OpenFile(cacheLock, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	place, err := hex.DecodeString(c.name[:16])
	if err != nil {
		file.Close()
		return nil, err
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: int64(binary.LittleEndian.Uint64(place) >> 2), Len: 1}
	end := time.Now().Add(compileWait)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		// Of the open file, not of the process: filters of one process wait for each other, too.
		err = syscall.FcntlFlock(file.Fd(), lockOfOpenFile, &lock)
		if err == nil {
			return file, nil
		}
		if busy := errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES); !busy || time.Now().After(end) {
			file.Close()
			if busy {
				err = fmt.Errorf("%w (%v)", errCompiling, compileWait)
			}
			return nil, err
		}
		time.Sleep(pause)
	}
}

// load returns the module's code, nil if there is none. An error says why an entry
// that is there can't be used.
func (c *cache) load(engine *wasmtime.Engine, wasm []byte) (*wasmtime.Module, error) {
	file, err := regular.ReadIn(c.root, c.name, maxCacheBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var h header
	var module *wasmtime.Module
	if err == nil {
		h, module, _, err = deserialize(engine, file)
	}
	if err == nil && h.Module != hexSum(wasm) {
		module.Close()
		err = errDamaged
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(c.dir, c.name), err)
	}
	// What was used last is removed last; no harm if that can't be noted.
	now := time.Now()
	_ = c.root.Chtimes(c.name, now, now)
	return module, nil
}

// store writes the module's code. Processes that do so at once leave one of their
// entries, whole.
func (c *cache) store(module *wasmtime.Module, wasm []byte) error {
	code, err := module.Serialize()
	if err != nil {
		return err
	}
	file, err := encode(code, wasm, hostTarget(), hostFeatures())
	if err != nil {
		return err
	}
	temp := cacheTemp + rand.Text()
	err = c.root.WriteFile(temp, file, 0o600)
	if err == nil {
		err = c.root.Rename(temp, c.name)
	}
	if err != nil {
		_ = c.root.Remove(temp)
		return err
	}
	return c.prune(maxCacheBytes)
}

// prune removes the oldest entries beyond a total size, and what dead processes
// left.
func (c *cache) prune(max int64) error {
	dir, err := c.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	files, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	var entries []fs.FileInfo
	for _, file := range files {
		info, err := file.Info()
		switch {
		case err != nil: // removed by another process
		case strings.HasPrefix(info.Name(), cacheTemp):
			if time.Since(info.ModTime()) > cacheTempLife {
				_ = c.root.Remove(info.Name())
			}
		case strings.HasSuffix(info.Name(), cacheSuffix):
			entries = append(entries, info)
		}
	}
	slices.SortFunc(entries, func(a, b fs.FileInfo) int { return cmp.Compare(b.ModTime().UnixNano(), a.ModTime().UnixNano()) })
	var total int64
	for _, info := range entries {
		if total += info.Size(); total > max && info.Name() != c.name {
			_ = c.root.Remove(info.Name())
		}
	}
	return nil
}

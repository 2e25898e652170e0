package guest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
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
)

// cache is a directory of compiled modules. Entries are machine code that is run:
// nobody but the user may be able to write there.
type cache struct {
	root *os.Root
	dir  string
	name string // of the entry for the module at hand
}

// openCache opens the directory, which is made if only its last part is not there,
// for the code of one module. It is an error if the directory is not the user's
// alone.
func openCache(dir string, wasm []byte) (*cache, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	c := &cache{root: root, dir: dir}
	if err := c.private(); err != nil {
		root.Close()
		return nil, err
	}
	c.name, err = entryName(wasm)
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

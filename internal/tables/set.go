// Package tables holds the tables that guests look things up in: files that are loaded into C memory,
// read by C alone (table.h), shared by all instances of a filter, and loaded again when they change.
package tables

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra
// #include <stdlib.h>
// #include "table.h"
import "C"

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fast" // for C
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// Spec is a table that a user has named.
type Spec struct {
	Name   string // in lower case
	Path   string // of a .csv, .json or .mmdb file
	Column string // of CSV: the one that has the keys; "": the first
}

// Config says which tables there are, and what bounds them.
type Config struct {
	Specs      []Spec
	LimitBytes int64         // of all tables together, as they are in memory
	Interval   time.Duration // between two looks at a file; 0: there is one, at the start
}

// Set is the tables of a filter. Filters of a process that have the same ones share a Set. Its
// methods may be called from any goroutine.
type Set struct {
	key    string
	users  int // guarded by sets
	config Config
	c      *C.flbwt_tables // in C memory, as all that it points to
	stop   chan struct{}
	done   chan struct{} // closed when all is freed

	mu    sync.Mutex // held while files are loaded
	files []*file    // guarded by mu, as retired; in the order of c.places
	// Versions that have been replaced while they were read.
	retired []*C.flbwt_table

	readersMu sync.Mutex
	readers   map[*C.flbwt_table_reader]struct{} // guarded by readersMu

	linesMu sync.Mutex
	lines   []Line // guarded by linesMu: the last ones
	told    int    // guarded by linesMu: how many lines there have been in all
}

// Line is a line for the log of each filter that uses a Set.
type Line struct {
	Level hostlog.Level
	Text  string
}

// maxLines is how many lines are kept for filters that have not logged them.
const maxLines = 100

var sets struct {
	sync.Mutex
	byKey map[string]*Set
}

// Open loads the tables, unless another filter has them already: then those whose files have
// changed. An error names the option, the file, and what is wrong with it. Close ends the use. Of
// no tables there is no Set: nil, of which all methods may be called.
func Open(config Config) (*Set, error) {
	if len(config.Specs) == 0 {
		return nil, nil
	}
	config.Specs = slices.Clone(config.Specs)
	slices.SortFunc(config.Specs, func(a, b Spec) int { return strings.Compare(a.Name, b.Name) })
	key := fmt.Sprintf("%q", []any{config.Specs, config.LimitBytes, int64(config.Interval)})

	// Held while loading, so that filters that start at once load once.
	sets.Lock()
	defer sets.Unlock()
	if s := sets.byKey[key]; s != nil {
		if err := s.update(); err != nil {
			return nil, err
		}
		s.users++
		return s, nil
	}
	s := newSet(key, config)
	if err := s.update(); err != nil {
		s.free()
		return nil, err
	}
	if sets.byKey == nil {
		sets.byKey = make(map[string]*Set)
	}
	sets.byKey[key] = s
	go s.watch()
	return s, nil
}

// newSet makes one whose tables are not loaded.
func newSet(key string, config Config) *Set {
	s := &Set{
		key: key, users: 1, config: config,
		c:       (*C.flbwt_tables)(C.calloc(1, C.sizeof_flbwt_tables)),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		readers: make(map[*C.flbwt_table_reader]struct{}),
	}
	s.c.len = C.uint32_t(len(config.Specs))
	s.c.places = (*C.flbwt_table_place)(C.calloc(C.size_t(len(config.Specs)), C.sizeof_flbwt_table_place))
	for i, spec := range config.Specs {
		place := s.place(i)
		place.name, place.name_len = C.CString(spec.Name), C.uint32_t(len(spec.Name))
		s.files = append(s.files, &file{spec: spec})
	}
	return s
}

func (s *Set) place(i int) *C.flbwt_table_place {
	return &unsafe.Slice(s.c.places, int(s.c.len))[i]
}

// free frees all that is in C memory. No instance uses it.
func (s *Set) free() {
	for _, t := range s.retired {
		C.flbwt_table_free(t)
	}
	for i := range s.files {
		C.free(unsafe.Pointer(s.place(i).name))
		C.flbwt_table_free(s.place(i).current)
	}
	C.free(unsafe.Pointer(s.c.places))
	C.free(unsafe.Pointer(s.c))
	s.c = nil
}

// Share returns the Set for another user, who closes it.
func (s *Set) Share() *Set {
	if s != nil {
		sets.Lock()
		defer sets.Unlock()
		s.users++
	}
	return s
}

// Close ends the use of a Set; no instance of the user's reads it any more. The last one has its
// memory freed soon: a file that is being loaded is not waited for.
func (s *Set) Close() {
	if s == nil {
		return
	}
	sets.Lock()
	defer sets.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	delete(sets.byKey, s.key)
	close(s.stop)
}

// Pointer is the flbwt_tables of table.h, NULL if there are none. It is valid until Close.
func (s *Set) Pointer() unsafe.Pointer {
	if s == nil {
		return nil
	}
	return unsafe.Pointer(s.c)
}

// AddReader has the flbwt_table_reader at reader, in C memory, take part: a version that it reads is
// not freed. RemoveReader goes before that memory is freed.
func (s *Set) AddReader(reader unsafe.Pointer) {
	if s != nil {
		s.readersMu.Lock()
		defer s.readersMu.Unlock()
		s.readers[(*C.flbwt_table_reader)(reader)] = struct{}{}
	}
}

// RemoveReader takes back AddReader.
func (s *Set) RemoveReader(reader unsafe.Pointer) {
	if s != nil {
		s.readersMu.Lock()
		defer s.readersMu.Unlock()
		delete(s.readers, (*C.flbwt_table_reader)(reader))
	}
}

// Loaded is a table as it is now.
type Loaded struct {
	Name    string
	Bytes   int64     // of memory
	Entries int64     // 0 of a MaxMind DB
	Time    time.Time // when it was loaded
}

// Loaded says what has been loaded. It does not wait for what is being loaded.
func (s *Set) Loaded() (list []Loaded) {
	if s == nil {
		return nil
	}
	for _, f := range s.files {
		if l := f.shown.Load(); l != nil {
			list = append(list, *l)
		}
	}
	return list
}

// Describe says what has been loaded, a line for each table.
func (s *Set) Describe() (lines []string) {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		lines = append(lines, f.describe())
	}
	return lines
}

// Bytes is the memory of the tables as they are now.
func (s *Set) Bytes() (n int64) {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes()
}

func (s *Set) bytes() (n int64) {
	for _, f := range s.files {
		n += f.loaded.bytes
	}
	return n
}

// Lines returns what there is to log since *read lines, which it counts on.
func (s *Set) Lines(read *int) []Line {
	if s == nil {
		return nil
	}
	s.linesMu.Lock()
	defer s.linesMu.Unlock()
	missed := min(s.told-*read, len(s.lines))
	*read = s.told
	return slices.Clone(s.lines[len(s.lines)-missed:])
}

// Told is how many lines there have been: those are not for a filter that begins now.
func (s *Set) Told() int {
	if s == nil {
		return 0
	}
	s.linesMu.Lock()
	defer s.linesMu.Unlock()
	return s.told
}

func (s *Set) tell(level hostlog.Level, text string) {
	s.linesMu.Lock()
	s.lines = append(s.lines, Line{level, text})
	if len(s.lines) > maxLines {
		s.lines = slices.Clone(s.lines[len(s.lines)-maxLines:])
	}
	s.told++
	s.linesMu.Unlock()
	C.flbwt_tables_tell(s.c) // instances look at it at the end of a chunk
}

package tables

// #include "table.h"
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filewatch"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// file is what is known of a table's file.
type file struct {
	spec      Spec
	loaded    version
	shown     atomic.Pointer[Loaded] // what there is to tell of it
	watch     filewatch.Watch
	complaint string // what was logged of the file since it was loaded
}

// version is what a file was when it was loaded.
type version struct {
	id   filewatch.ID
	size int64 // of the file

	bytes    int64 // of memory
	entries  int64
	repeated uint64 // entries whose key comes again
	first    string // such a key
	what     string // of a MaxMind DB
}

func (f *file) describe() string {
	text := fmt.Sprintf("table %s: %s, ", hostlog.Name(f.spec.Name), hostlog.Printable(f.spec.Path, hostlog.MaxTextBytes))
	if f.loaded.what != "" {
		text += f.loaded.what
	} else {
		text += fmt.Sprintf("%d entries", f.loaded.entries)
	}
	text += fmt.Sprintf(", %d bytes", f.loaded.bytes)
	if f.loaded.repeated > 0 {
		text += fmt.Sprintf("; of %d keys that are there again, such as %s, the last one counts",
			f.loaded.repeated, hostlog.Quote(f.loaded.first, 100))
	}
	return text
}

// option words an error of a table.
func (f *file) option(err error) error {
	return fmt.Errorf("option table.%s: %s: %w", hostlog.Name(f.spec.Name), hostlog.Printable(f.spec.Path, hostlog.MaxTextBytes), err)
}

// update loads what has not been loaded, or has changed.
func (s *Set) update() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.files {
		found, err := filewatch.Stat(f.spec.Path)
		if err != nil {
			return f.option(err)
		}
		if s.place(i).current != nil && f.watch.IsTaken(found) {
			continue
		}
		if err := s.load(i); err != nil {
			return f.option(err)
		}
	}
	return nil
}

// load has the file's version take the table's place.
func (s *Set) load(i int) error {
	f := s.files[i]
	others := s.bytes() - f.loaded.bytes
	t, found, err := load(f.spec, s.config.LimitBytes-others)
	if errors.Is(err, errLimit) {
		err = fmt.Errorf("%w of %d bytes, of which other tables have %d", err, s.config.LimitBytes, others)
	}
	if err != nil {
		return err
	}
	f.loaded, f.complaint = found, ""
	f.watch.Take(found.id)
	f.shown.Store(&Loaded{Name: f.spec.Name, Bytes: found.bytes, Entries: found.entries, Time: time.Now()})
	if old := C.flbwt_table_swap(s.place(i), t); old != nil {
		s.retired = append(s.retired, old)
		s.release()
	}
	return nil
}

// release frees versions that nobody reads.
func (s *Set) release() {
	s.readersMu.Lock()
	defer s.readersMu.Unlock()
	s.retired = slices.DeleteFunc(s.retired, func(t *C.flbwt_table) bool {
		if s.isRead(t) {
			return false
		}
		C.flbwt_table_free(t)
		return true
	})
}

func (s *Set) isRead(t *C.flbwt_table) bool {
	for reader := range s.readers {
		if bool(C.flbwt_table_reads(reader, t)) {
			return true
		}
	}
	return false
}

// watch looks at the files until the Set is closed.
func (s *Set) watch() {
	defer close(s.done)
	defer s.free()
	var tick <-chan time.Time // nil: never
	if s.config.Interval > 0 {
		ticker := time.NewTicker(s.config.Interval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-s.stop:
			return
		case <-tick:
			s.look()
		}
	}
}

// look loads files that have changed, and says so.
func (s *Set) look() {
	defer hostlog.Recover(func(line string) { s.tell(hostlog.Error, line) }, "tables", nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release()
	for i, f := range s.files {
		found, err := filewatch.Stat(f.spec.Path)
		if err == nil {
			if f.watch.IsTaken(found) {
				f.complaint = ""
			}
			if !f.watch.Due(found) {
				continue
			}
			if err = s.load(i); err == nil {
				s.tell(hostlog.Info, f.describe()+": refreshed")
				continue
			}
			f.watch.Refuse(found)
		}
		if text := err.Error(); text != f.complaint {
			f.complaint = text
			s.tell(hostlog.Warn, fmt.Sprintf("%v: the version that was loaded before stays", f.option(err)))
		}
	}
}

package tables

// #include <stdlib.h>
// #include "table.h"
import "C"

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filewatch"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

var (
	errLimit    = errors.New("it has no room within table_limit")
	errNoMemory = errors.New("the host has no memory for it")
	errChanged  = errors.New("it is being written")
)

// maxTries is how often a file that changes while it is read is read again.
const maxTries = 3

// load makes a table of a file, with at most that many bytes of memory.
func load(spec Spec, limit int64) (t *C.flbwt_table, v version, err error) {
	for range maxTries {
		if t, v, err = loadOnce(spec, limit); !errors.Is(err, errChanged) {
			break
		}
	}
	return t, v, err
}

func loadOnce(spec Spec, limit int64) (_ *C.flbwt_table, _ version, err error) {
	// Opening what is not a regular file may not end.
	in, err := os.OpenFile(spec.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, version{}, err
	}
	defer in.Close()
	info, err := in.Stat()
	switch {
	case err != nil:
		return nil, version{}, err
	case !info.Mode().IsRegular():
		return nil, version{}, regular.ErrNotRegular
	}
	l := newLoader(limit, version{id: filewatch.Of(info), size: info.Size()})
	done := false
	defer func() {
		if !done {
			l.close()
		}
	}()
	err = l.read(spec, in)
	if after, statErr := in.Stat(); statErr == nil {
		if filewatch.Of(after) != l.version.id {
			return nil, version{}, errChanged
		}
	}
	if err != nil {
		return nil, version{}, err
	}
	done = true
	return l.table, l.version, nil
}

// loader makes one table.
type loader struct {
	table *C.flbwt_table
	block block
	limit int64
	version
	unverified bool // for the tests' sake: what look-ups do with bytes that are refused
}

func newLoader(limit int64, v version) *loader {
	return &loader{table: (*C.flbwt_table)(C.calloc(1, C.sizeof_flbwt_table)), limit: limit, version: v}
}

func (l *loader) close() {
	l.table.bytes = (*C.uint8_t)(l.block.p)
	C.flbwt_table_free(l.table)
}

// read reads the file. A panic, of the library for files of MaxMind, is an error.
func (l *loader) read(spec Spec, in io.Reader) (err error) {
	defer hostlog.Recover(func(string) {}, "reading it", &err)
	l.block.limit = l.limit
	defer func() {
		l.table.bytes, l.table.size = (*C.uint8_t)(l.block.p), C.size_t(l.block.len)
		l.version.bytes += int64(l.block.cap) + C.sizeof_flbwt_table
	}()
	in = io.LimitReader(in, l.size+1)
	switch strings.ToLower(filepath.Ext(spec.Path)) {
	case ".csv":
		l.table.kind = C.FLBWT_TABLE_CSV
		return l.csv(in, spec.Column)
	case ".json":
		l.table.kind = C.FLBWT_TABLE_JSON
		return l.json(in)
	case ".mmdb":
		l.table.kind = C.FLBWT_TABLE_MMDB
		return l.mmdb(in)
	default:
		return errors.New("its name ends in none of .csv, .json and .mmdb")
	}
}

// block is C memory that grows.
type block struct {
	p        unsafe.Pointer
	len, cap int
	limit    int64
}

// grow makes room for n bytes more.
func (b *block) grow(n int) error {
	if n <= b.cap-b.len {
		return nil
	}
	if int64(b.len)+int64(n) > b.limit {
		return errLimit
	}
	size := int(min(b.limit, int64(max(2*b.cap, b.len+n, 4096))))
	return b.resize(size)
}

func (b *block) resize(size int) error {
	p := C.flbwt_table_resize((*C.uint8_t)(b.p), C.size_t(size))
	if p == nil {
		return errNoMemory
	}
	b.p, b.cap = unsafe.Pointer(p), size
	return nil
}

// room is what has been grown and not been used.
func (b *block) room() []byte { return unsafe.Slice((*byte)(b.p), b.cap)[b.len:] }

// trim gives back what has not been used.
func (b *block) trim() error { return b.resize(max(b.len, 1)) }

func (b *block) add(bytes []byte) error {
	if err := b.grow(len(bytes)); err != nil {
		return err
	}
	b.len += copy(b.room(), bytes)
	return nil
}

// entry adds an entry as table.h has them.
func (l *loader) entry(key string, value []byte) error {
	switch {
	case len(key) > C.FLBWT_TABLE_KEY_BYTES:
		return fmt.Errorf("a key has %d bytes: at most %d are taken", len(key), C.FLBWT_TABLE_KEY_BYTES)
	case len(value) > C.FLBWT_TABLE_VALUE_BYTES:
		return fmt.Errorf("the value of %s has %d bytes: at most %d are taken", hostlog.Quote(key, 100), len(value), C.FLBWT_TABLE_VALUE_BYTES)
	}
	const lengths = 8
	if err := l.block.grow(lengths + len(key) + len(value)); err != nil {
		return err
	}
	room := l.block.room()
	binary.NativeEndian.PutUint32(room, uint32(len(key)))
	binary.NativeEndian.PutUint32(room[4:], uint32(len(value)))
	n := lengths + copy(room[lengths:], key)
	l.block.len += n + copy(room[n:], value)
	l.entries++
	return nil
}

// index ends a table of entries.
func (l *loader) index() error {
	if err := l.block.trim(); err != nil {
		return err
	}
	t := l.table
	t.bytes, t.size = (*C.uint8_t)(l.block.p), C.size_t(l.block.len)
	const slotBytes, minSlots = 8, 16
	slots := int64(minSlots)
	for slots < 2*l.entries {
		slots *= 2
	}
	if l.version.bytes = slots * slotBytes; int64(l.block.len)+l.version.bytes > l.limit {
		return errLimit
	}
	var repeated C.uint64_t
	var first C.size_t
	if !C.flbwt_table_index(t, C.uint64_t(l.entries), C.uint64_t(rand.Uint64()), &repeated, &first) {
		return errNoMemory
	}
	if l.repeated = uint64(repeated); repeated > 0 {
		at := unsafe.Slice((*byte)(l.block.p), l.block.len)[first:]
		l.first = string(at[8 : 8+binary.NativeEndian.Uint32(at)])
		l.entries -= int64(repeated)
	}
	return nil
}

var byteOrderMark = []byte("\xef\xbb\xbf")

func skipMark(in io.Reader) *bufio.Reader {
	r := bufio.NewReaderSize(in, 64<<10)
	if start, _ := r.Peek(len(byteOrderMark)); bytes.Equal(start, byteOrderMark) {
		_, _ = r.Discard(len(byteOrderMark))
	}
	return r
}

// csv reads a file whose first line names the columns (RFC 4180).
func (l *loader) csv(in io.Reader, column string) error {
	r := csv.NewReader(skipMark(in))
	r.ReuseRecord = true
	names, err := r.Read()
	switch {
	case err == io.EOF:
		return errors.New("it is empty: the first line must name the columns")
	case err != nil:
		return csvError(err)
	}
	names = slices.Clone(names)
	key := 0
	if column != "" {
		if key = slices.Index(names, column); key < 0 {
			return fmt.Errorf("it has no column %s: it has %s", hostlog.Quote(column, 100),
				hostlog.List(names, func(s string) string { return hostlog.Quote(s, 100) }))
		}
	}
	var header []byte
	for i, name := range names {
		if j := slices.Index(names, name); j < i {
			return fmt.Errorf("line 1: the columns %d and %d have the same name: %s", j+1, i+1, hostlog.Quote(name, 100))
		}
		if i != key {
			header = mp.AppendString(header, name)
		}
	}
	header = append(header, 0) // no entry stands at 0
	l.table.columns = C.uint32_t(len(names) - 1)
	l.table.entries_at = C.size_t(len(header))
	if err := l.block.add(header); err != nil {
		return err
	}
	for value := []byte(nil); ; value = value[:0] {
		fields, err := r.Read()
		if err == io.EOF {
			return l.index()
		}
		if err != nil {
			return csvError(err)
		}
		for i, field := range fields {
			if i != key {
				value = mp.AppendString(value, field)
			}
		}
		if err := l.entry(fields[key], value); err != nil {
			line, _ := r.FieldPos(key)
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// csvError words an error as the others here.
func csvError(err error) error {
	var parse *csv.ParseError
	switch {
	case !errors.As(err, &parse):
		return err
	case errors.Is(err, csv.ErrFieldCount):
		return fmt.Errorf("line %d: it has another number of fields than line 1", parse.Line)
	default:
		return fmt.Errorf("line %d: %w", parse.Line, parse.Err)
	}
}

// json reads an object: from keys to values.
func (l *loader) json(in io.Reader) error {
	d := json.NewDecoder(skipMark(in))
	at := func(err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("it ends within the object, at byte %d", d.InputOffset())
		}
		return fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
	}
	begin, err := d.Token()
	switch {
	case err == io.EOF:
		return errors.New("it is empty: it must hold a JSON object")
	case err != nil:
		return at(err)
	case begin != json.Delim('{'):
		return errors.New("it does not hold a JSON object, from keys to values")
	}
	l.table.entries_at = 1
	if err := l.block.add([]byte{0}); err != nil { // no entry stands at 0
		return err
	}
	var value []byte
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return at(err)
		}
		key, _ := token.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return at(err)
		}
		if value, _, err = transcode.AppendMsgpack(value[:0], raw, C.FLBWT_TABLE_DEPTH); err != nil {
			return fmt.Errorf("the value of %s, before byte %d: %w", hostlog.Quote(key, 100), d.InputOffset(), err)
		}
		if err := l.entry(key, value); err != nil {
			return at(err)
		}
	}
	if _, err := d.Token(); err != nil {
		return at(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something follows the object, at byte %d", d.InputOffset())
	}
	return l.index()
}

// metadataMark is what the last part of a MaxMind DB begins with.
var metadataMark = []byte("\xab\xcd\xefMaxMind.com")

// mmdb takes a file as it is. The library reads what it says of itself.
func (l *loader) mmdb(in io.Reader) error {
	if err := l.block.grow(int(min(l.size, l.limit+1)) + 1); err != nil {
		return err
	}
	for {
		n, err := in.Read(l.block.room())
		l.block.len += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := l.block.grow(1); err != nil {
			return err
		}
	}
	if err := l.block.trim(); err != nil {
		return err
	}
	content := unsafe.Slice((*byte)(l.block.p), l.block.len)
	r, err := maxminddb.OpenBytes(content, maxminddb.DisableStringCache())
	if err != nil {
		return fmt.Errorf("it is not a MaxMind DB, or not all of one: %w", err)
	}
	if r.Metadata.BinaryFormatMajorVersion != 2 {
		return fmt.Errorf("it has version %d of the format: 2 is known", r.Metadata.BinaryFormatMajorVersion)
	}
	if err := l.tree(content, &r.Metadata); err != nil || l.unverified {
		return err
	}
	// Not by the library, which refuses what has no description, or data that nothing leads to.
	var at C.size_t
	switch C.flbwt_table_verify(l.table, &at) {
	case C.FLBWT_TABLE_BAD_NODE:
		return fmt.Errorf("it is damaged: node %d leads out of it", at)
	case C.FLBWT_TABLE_BAD_VALUE:
		return fmt.Errorf("the value at byte %d of its data is damaged, nests more than %d deep, or has more than %d bytes as JSON",
			at, C.FLBWT_TABLE_DEPTH, C.FLBWT_TABLE_WRITTEN_BYTES)
	case C.FLBWT_TABLE_NO_MEMORY:
		return errNoMemory
	}
	return nil
}

// tree has look-ups know where what is. Nothing that the library says is believed: look-ups read
// where this says.
func (l *loader) tree(content []byte, m *maxminddb.Metadata) error {
	const separator = 16
	end := bytes.LastIndex(content, metadataMark)
	switch {
	case m.RecordSize != 24 && m.RecordSize != 28 && m.RecordSize != 32:
		return fmt.Errorf("it has records of %d bits: 24, 28 and 32 are known", m.RecordSize)
	case m.IPVersion != 4 && m.IPVersion != 6:
		return fmt.Errorf("it is for addresses of IP version %d: 4 and 6 are known", m.IPVersion)
	case m.NodeCount == 0 || m.NodeCount > 1<<31 || end < 0 ||
		uint64(m.NodeCount)*uint64(m.RecordSize/4)+separator > uint64(end):
		return fmt.Errorf("it has no room for the %d nodes that it says it has", m.NodeCount)
	}
	treeBytes := int(m.NodeCount * (m.RecordSize / 4))
	t := l.table
	t.bytes = (*C.uint8_t)(l.block.p)
	t.data = (*C.uint8_t)(unsafe.Pointer(&content[treeBytes+separator-1])) // there may be none
	t.data = (*C.uint8_t)(unsafe.Add(unsafe.Pointer(t.data), 1))
	t.data_size = C.size_t(end - treeBytes - separator)
	t.nodes, t.record_bits, t.ipv6 = C.uint32_t(m.NodeCount), C.uint(m.RecordSize), m.IPVersion == 6
	C.flbwt_table_tree(t)
	l.what = fmt.Sprintf("%s of %s, %d nodes", hostlog.Name(m.DatabaseType), m.BuildTime().UTC().Format("2006-01-02"), m.NodeCount)
	return nil
}

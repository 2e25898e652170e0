package tables

// #include <stdlib.h>
// #include "table.h"
import "C"

import "unsafe"

// Form is what a value is written as.
type Form uint32

// The forms.
const (
	JSON    Form = C.FLBWT_FORM_JSON
	Msgpack Form = C.FLBWT_FORM_MSGPACK
	Text    Form = C.FLBWT_FORM_TEXT // a string as it is, all else as JSON
)

// What Get returns in place of a length.
const (
	Absent  = C.FLBWT_TABLE_ABSENT
	Damaged = C.FLBWT_TABLE_DAMAGED
)

// Get is what a guest's look-up does, for tests: flbwt_table_get with room for as many bytes.
func (s *Set) Get(table int, key, path string, form Form, isAddress bool, room int) (value []byte, n int) {
	r := newReading(s)
	defer r.close()
	r.enter(table)
	return get(r.table, key, path, form, isAddress, room)
}

func get(t *C.flbwt_table, key, path string, form Form, isAddress bool, room int) (value []byte, n int) {
	q := (*C.flbwt_query)(C.calloc(1, C.sizeof_flbwt_query))
	defer C.free(unsafe.Pointer(q))
	keyBytes, pathBytes, out := C.CBytes([]byte(key)), C.CBytes([]byte(path)), C.calloc(1, C.size_t(room+1))
	defer C.free(keyBytes)
	defer C.free(pathBytes)
	defer C.free(out)
	*q = C.flbwt_query{
		key: (*C.uint8_t)(keyBytes), key_len: C.size_t(len(key)), is_address: C.bool(isAddress),
		path: (*C.uint8_t)(pathBytes), path_len: C.size_t(len(path)), form: uint32(form),
	}
	n = int(C.flbwt_table_get(t, q, (*C.uint8_t)(out), C.size_t(room)))
	if n < 0 || n > room {
		return nil, n
	}
	return C.GoBytes(out, C.int(n)), n
}

// Address is flbwt_address, for tests: nil if the text is no address.
func Address(text string) []byte {
	in, out := C.CBytes([]byte(text)), C.calloc(1, 16)
	defer C.free(in)
	defer C.free(out)
	return C.GoBytes(out, C.flbwt_address((*C.uint8_t)(in), C.size_t(len(text)), (*C.uint8_t)(out)))
}

// reading is a reader, for tests.
type reading struct {
	set    *Set
	reader *C.flbwt_table_reader
	table  *C.flbwt_table // that is read
}

func newReading(s *Set) *reading {
	r := &reading{set: s, reader: (*C.flbwt_table_reader)(C.calloc(1, C.sizeof_flbwt_table_reader))}
	s.AddReader(unsafe.Pointer(r.reader))
	return r
}

func (r *reading) enter(table int) { r.table = C.flbwt_table_enter(r.set.place(table), r.reader) }

func (r *reading) leave() { C.flbwt_table_leave(r.reader) }

func (r *reading) close() {
	r.leave()
	r.set.RemoveReader(unsafe.Pointer(r.reader))
	C.free(unsafe.Pointer(r.reader))
}

package state

// #include <stdlib.h>
// #include "store.h"
// #include "metrics.h"
import "C"

import (
	"errors"
	"unsafe"
)

// What guests do by host functions, in C, is here in Go for the tests' sake. now is in nanoseconds
// of a clock that does not go back.

type key struct {
	state *State
	now   uint64
	name  []byte
}

// with calls f with C memory for the operation, and for other bytes, which are nil or copies.
func (k key) with(bytes [][]byte, f func(op *C.flbwt_store_op, others []*C.uint8_t)) {
	op := (*C.flbwt_store_op)(C.calloc(1, C.sizeof_flbwt_store_op))
	defer C.free(unsafe.Pointer(op))
	*op = C.flbwt_store_op{store: k.state.store, now: C.uint64_t(k.now), key_len: C.uint32_t(len(k.name))}
	var others []*C.uint8_t
	for i, b := range append([][]byte{k.name}, bytes...) {
		var p unsafe.Pointer
		if b != nil {
			p = C.CBytes(append(b, 0)) // never empty
			defer C.free(p)
		}
		if i == 0 {
			op.key = (*C.uint8_t)(p)
			continue
		}
		others = append(others, (*C.uint8_t)(p))
	}
	f(op, others)
}

func (k key) get() (value []byte, ok bool) {
	k.with(nil, func(op *C.flbwt_store_op, _ []*C.uint8_t) {
		n := C.flbwt_store_get(op, nil, 0)
		buffer := C.calloc(1, C.size_t(max(n, 0)+1))
		defer C.free(buffer)
		if ok = n >= 0; ok {
			C.flbwt_store_get(op, (*C.uint8_t)(buffer), C.uint32_t(n))
			value = C.GoBytes(buffer, C.int(n))
		}
	})
	return value, ok
}

// result is an enum flbwt_stored.
type result int

const (
	stored    result = C.FLBWT_STORED
	differs   result = C.FLBWT_STORE_DIFFERS
	full      result = C.FLBWT_STORE_FULL
	noCounter result = C.FLBWT_STORE_NO_COUNTER
)

const (
	maxKeyBytes   = C.FLBWT_STORE_KEY_BYTES
	maxValueBytes = C.FLBWT_STORE_VALUE_BYTES
)

func (k key) set(value []byte, ttl int64) (r result) {
	k.with([][]byte{value}, func(op *C.flbwt_store_op, others []*C.uint8_t) {
		r = result(C.flbwt_store_set(op, others[0], C.uint32_t(len(value)), C.int64_t(ttl)))
	})
	return r
}

func (k key) delete() (found bool) {
	k.with(nil, func(op *C.flbwt_store_op, _ []*C.uint8_t) { found = bool(C.flbwt_store_delete(op)) })
	return found
}

func (k key) add(delta, ttl int64) (sum int64, r result) {
	var c C.int64_t
	k.with(nil, func(op *C.flbwt_store_op, _ []*C.uint8_t) {
		r = result(C.flbwt_store_add(op, C.int64_t(delta), C.int64_t(ttl), &c))
	})
	return int64(c), r
}

// cas compares with old, or with nothing if that is nil.
func (k key) cas(old, value []byte, ttl int64) (r result) {
	k.with([][]byte{old, value}, func(op *C.flbwt_store_op, others []*C.uint8_t) {
		r = result(C.flbwt_store_cas(op, others[0], C.uint32_t(len(old)), others[1], C.uint32_t(len(value)), C.int64_t(ttl)))
	})
	return r
}

// tableBytes is what of the store's bytes is not of a key.
func (s *State) tableBytes() uint64 { return uint64(C.flbwt_store_look(s.store).table_bytes) }

func (s *State) tell(now uint64) bool { return bool(C.flbwt_store_tell(s.store, C.uint64_t(now))) }

// siphash is the hash with the seed 0.
func siphash(b []byte) uint64 {
	return uint64(C.flbwt_siphash(C.flbwt_seed{}, (*C.uint8_t)(unsafe.SliceData(b)), C.size_t(len(b))))
}

type definition struct {
	kind               Kind
	name, help, labels string
	buckets            []float64
	version            uint64
}

var errNoRoom = errors.New("no room")

func (s *State) define(d definition) (id uint32, err error) {
	c := (*C.flbwt_metric_definition)(C.calloc(1, C.sizeof_flbwt_metric_definition))
	defer C.free(unsafe.Pointer(c))
	put := func(b []byte) (*C.uint8_t, C.uint32_t) {
		return (*C.uint8_t)(C.CBytes(append(b, 0))), C.uint32_t(len(b))
	}
	c.kind, c.version = C.uint32_t(d.kind), C.uint64_t(d.version)
	c.name, c.name_len = put([]byte(d.name))
	c.help, c.help_len = put([]byte(d.help))
	c.labels, c.labels_len = put([]byte(d.labels))
	c.buckets, _ = put(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(d.buckets))), 8*len(d.buckets)))
	c.buckets_count = C.uint32_t(len(d.buckets))
	for _, p := range []*C.uint8_t{c.name, c.help, c.labels, c.buckets} {
		defer C.free(unsafe.Pointer(p))
	}
	var why [192]C.char
	n := C.flbwt_metrics_define(s.metrics, c, &why[0], C.size_t(len(why)))
	switch n {
	case C.FLBWT_METRIC_NO_ROOM:
		return 0, errNoRoom
	case C.FLBWT_METRIC_REFUSED:
		return 0, errors.New(C.GoString(&why[0]))
	}
	return uint32(n), nil
}

const (
	add     = C.FLBWT_METRIC_ADD
	set     = C.FLBWT_METRIC_SET
	observe = C.FLBWT_METRIC_OBSERVE
)

const (
	counted    = C.FLBWT_COUNTED
	notCounted = C.FLBWT_NOT_COUNTED
	noMetric   = C.FLBWT_NO_METRIC
	wrongKind  = C.FLBWT_WRONG_KIND
	badLabels  = C.FLBWT_BAD_LABELS
)

func (s *State) count(verb int, id uint32, value float64, labels []byte) int {
	return int(C.flbwt_metrics_count(s.metrics, C.enum_flbwt_metric_verb(verb), C.uint32_t(id), C.double(value), (*C.uint8_t)(unsafe.SliceData(labels)), C.uint32_t(len(labels))))
}

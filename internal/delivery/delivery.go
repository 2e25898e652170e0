// Package delivery brings what a lane has journalled of events under other tags into the form in which
// Fluent Bit takes them. It is C, which the border calls; Go tests it.
package delivery

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra
// #include <stdlib.h>
// #include "delivery.h"
import "C"

import (
	"unsafe"

	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest" // whose C this stands on
)

// destination is a tag with its events.
type destination struct {
	tag    string
	cut    bool
	count  int
	events []byte
}

// sorted is what becomes of a journal of which some destinations are taken.
type sorted struct {
	destinations []destination
	left         []byte
	leftEvents   int
	journal      []byte // what is left,
	inPlace      []byte // and that written over the journal itself
}

// sort sorts a journal; taken says which destinations are. False: it is none.
func sort(journal []byte, taken func(i int) bool) (s sorted, ok bool) {
	var d C.flbwt_delivery
	defer C.flbwt_delivery_end(&d)
	p := C.CBytes(journal)
	defer C.free(p)
	if !C.flbwt_delivery_sort(&d, (*C.uint8_t)(p), C.size_t(len(journal))) {
		return s, false
	}
	var n C.size_t
	for i := range int(d.destinations) {
		to := C.flbwt_delivery_at(&d, C.uint32_t(i))
		events := C.flbwt_delivery_events(&d, to, &n)
		s.destinations = append(s.destinations, destination{
			tag:    C.GoStringN((*C.char)(unsafe.Pointer(to.tag)), C.int(to.tag_len)),
			cut:    bool(to.cut),
			count:  int(to.events),
			events: C.GoBytes(unsafe.Pointer(events), C.int(n)),
		})
		to.taken = C.bool(taken(i))
	}
	var count C.uint32_t
	left := C.flbwt_delivery_left(&d, &n, &count)
	s.left, s.leftEvents = C.GoBytes(unsafe.Pointer(left), C.int(n)), int(count)
	to := C.CBytes(journal)
	defer C.free(to)
	s.journal = C.GoBytes(to, C.int(C.flbwt_delivery_journal(&d, (*C.uint8_t)(to))))
	s.inPlace = C.GoBytes(p, C.int(C.flbwt_delivery_journal(&d, (*C.uint8_t)(p))))
	return s, true
}

// headBytes is how long what stands before an event is.
const headBytes = C.sizeof_flbwt_journal_entry

// Package fast is the hot path in C: what packages chunk, mp and transcode define, as far as log
// records go that way. Package guest calls it from C. What is here in Go serves tests, which
// hold it to those packages.
package fast

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra
// #cgo LDFLAGS: -lm
// #include "fast.h"
//
// enum { NOT_DONE = -1 };
//
// static ptrdiff_t write_json(const uint8_t *in, size_t n, uint8_t *out, size_t *used)
// {
//     const uint8_t *after;
//     flbwt_record record;
//     uint8_t *end = flbwt_write_json(in, in + n, out, &after, &record);
//
//     *used = (size_t) (after - in);
//     return end != NULL ? end - out : NOT_DONE;
// }
//
// static ptrdiff_t read_json(const uint8_t *in, size_t n, int depth, const uint8_t *body,
//                         size_t body_n, uint8_t *json, uint8_t *out)
// {
//     const uint8_t *after;
//     flbwt_record record;
//     bool known = body_n > 0 && flbwt_write_json(body, body + body_n, json, &after, &record) != NULL;
//     uint8_t *end = flbwt_read_json(in, in + n, in + n, depth, known ? &record : NULL, out);
//
//     return end != NULL ? end - out : NOT_DONE;
// }
import "C"

import "unsafe"

// WriteJSON is transcode.AppendJSON as C does it. n is how many bytes it took of in; ok
// is false for what it leaves to that function, and out is then dst.
func WriteJSON(dst, in []byte) (out []byte, n int, ok bool) {
	buffer := make([]byte, len(in)*C.FLBWT_JSON_GROWTH+C.FLBWT_GROWTH_ROOM)
	var used C.size_t
	written := C.write_json(pointer(in), C.size_t(len(in)), pointer(buffer), &used)
	if written == C.NOT_DONE {
		return dst, 0, false
	}
	return append(dst, buffer[:written]...), int(used), true
}

// ReadJSON is transcode.AppendMsgpack as C does it, for a JSON object that ends with
// json, or somewhere before. ok is false for what it leaves to that function, and out
// is then dst. body is the record that the object answers, or empty: it makes no
// difference.
func ReadJSON(dst, json []byte, depth int, body []byte) (out []byte, ok bool) {
	buffer := make([]byte, len(json)*C.FLBWT_MSGPACK_GROWTH+C.FLBWT_GROWTH_ROOM)
	record := make([]byte, len(body)*C.FLBWT_JSON_GROWTH+C.FLBWT_GROWTH_ROOM)
	written := C.read_json(pointer(json), C.size_t(len(json)), C.int(depth),
		pointer(body), C.size_t(len(body)), pointer(record), pointer(buffer))
	if written == C.NOT_DONE {
		return dst, false
	}
	return append(dst, buffer[:written]...), true
}

func pointer(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(b)) }

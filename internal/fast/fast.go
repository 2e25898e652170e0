// Package fast is the hot path in C: what packages chunk, mp and transcode define, as far as log
// records go that way. Package guest calls it from C. What is here in Go serves tests, which
// hold it to those packages.
package fast

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra
// #cgo LDFLAGS: -lm
// #include "fast.h"
//
// #include <stdlib.h>
// #include <string.h>
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
// static ptrdiff_t after(const uint8_t *p, const uint8_t *end) { return end != NULL ? end - p : NOT_DONE; }
//
// static ptrdiff_t skip(const uint8_t *p, size_t n, int depth, unsigned *containers)
// {
//     return after(p, flbwt_skip(p, p + n, depth, containers));
// }
//
// static ptrdiff_t skip_reply(const uint8_t *p, size_t n, int depth, const uint8_t *in, size_t in_n)
// {
//     unsigned containers;
//     const uint8_t *in_end = flbwt_skip(in, in + in_n, FLBWT_EVENT_DEPTH, &containers);
//
//     return in_end != NULL ? after(p, flbwt_skip_reply(p, p + n, depth, in, (size_t) (in_end - in), containers)) : NOT_DONE;
// }
//
// // What follows works on copies of just that size, so that a sanitizer sees each byte beyond.
// static uint8_t *copied(const uint8_t *p, size_t n)
// {
//     uint8_t *copy = malloc(n > 0 ? n : 1);
//
//     if (n > 0) {
//         memcpy(copy, p, n);
//     }
//     return copy;
// }
//
// // An edit whose bytes are bytes[at..at+len).
// typedef struct {
//     uint32_t kind, a, b, at, len;
// } edit_at;
//
// static ptrdiff_t edit_map(const uint8_t *in, size_t n, const edit_at *at, size_t count,
//                           const uint8_t *bytes, size_t room, int depth, uint8_t *out, const char **why)
// {
//     uint8_t *in_copy = copied(in, n), *scratch = malloc(room), *to = malloc(room);
//     flbwt_edit *edits = calloc(count, sizeof(*edits));
//
//     for (size_t i = 0; i < count; i++) {
//         edits[i] = (flbwt_edit) {at[i].kind, at[i].a, at[i].b, copied(bytes + at[i].at, at[i].len), at[i].len};
//     }
//     const uint8_t *end = flbwt_edit_map(in_copy, n, edits, count, depth, scratch, to, why);
//     ptrdiff_t written = after(to, end);
//     if (written > 0) {
//         memcpy(out, to, (size_t) written);
//     }
//     for (size_t i = 0; i < count; i++) {
//         free((void *) edits[i].bytes);
//     }
//     free(edits);
//     free(in_copy);
//     free(scratch);
//     free(to);
//     return written;
// }
//
// static ptrdiff_t add_members(const uint8_t *in, size_t n, uint32_t members, const uint8_t *bytes, size_t len,
//                              int depth, uint8_t *out, size_t room)
// {
//     uint8_t *in_copy = copied(in, n), *bytes_copy = copied(bytes, len), *to = malloc(room);
//     ptrdiff_t written = after(to, flbwt_add_members(in_copy, n, members, bytes_copy, len, depth, to));
//
//     if (written > 0) {
//         memcpy(out, to, (size_t) written);
//     }
//     free(in_copy);
//     free(bytes_copy);
//     free(to);
//     return written;
// }
//
// static int read_events(const uint8_t *data, size_t size, size_t from, size_t max_bytes, flbwt_shape *shape,
//                        flbwt_place *places, size_t max, size_t *n)
// {
//     return (int) flbwt_read_events(data, size, from, max_bytes, shape, places, max, n);
// }
import "C"

import "unsafe"

// Event is what ReadEvent finds: the time, and where the parts of the event are.
type Event struct {
	Header, HeaderLen, Body int
	Sec, Nsec               uint32
}

// ReadEvent is chunk.Next as C does it, up to the body, for an event at data[at:]. ok is false for
// what it leaves to that function.
func ReadEvent(data []byte, at int) (e Event, ok bool) {
	var c C.flbwt_event
	if !C.flbwt_read_event(pointer(data), C.size_t(len(data)), C.size_t(at), &c) {
		return Event{}, false
	}
	return Event{int(c.header), int(c.header_len), int(c.body), uint32(c.sec), uint32(c.nsec)}, true
}

// Skip is mp.Skip as C does it: n is how many bytes the value at the start of p takes. containers
// is of how many it is made, or more than depth.
func Skip(p []byte, depth int) (n, containers int, ok bool) {
	var c C.uint
	after := C.skip(pointer(p), C.size_t(len(p)), C.int(depth), &c)
	return int(after), int(c), after != C.NOT_DONE
}

// SkipReply is mp.Skip as C does it with a reply, a map, to the record in: whether that is repeated
// makes no difference.
func SkipReply(p []byte, depth int, in []byte) (n int, ok bool) {
	after := C.skip_reply(pointer(p), C.size_t(len(p)), C.int(depth), pointer(in), C.size_t(len(in)))
	return int(after), after != C.NOT_DONE
}

// SpanMsgpack and SpanJSON return how long the value at the start of p is, valid or not; 0 if it
// does not end there, and for JSON also if it is not an object or array.
func SpanMsgpack(p []byte) int { return int(C.flbwt_span_msgpack(pointer(p), C.size_t(len(p)))) }

// SpanJSON: see SpanMsgpack.
func SpanJSON(p []byte) int { return int(C.flbwt_span_json(pointer(p), C.size_t(len(p)))) }

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
// is then dst. body is the record that the object replies to, or empty: it makes no
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

// Edit is one of EditMap.
type Edit struct {
	Kind, A, B uint32
	Bytes      []byte
}

// The kinds of edits.
const (
	EditReplace = C.FLBWT_EDIT_REPLACE
	EditSet     = C.FLBWT_EDIT_SET
	EditAdd     = C.FLBWT_EDIT_ADD
	EditRemove  = C.FLBWT_EDIT_REMOVE
	EditPut     = C.FLBWT_EDIT_PUT
)

// EditMap returns the MessagePack value in, which is valid, as at least one edit makes it. why is not
// empty if an edit is not valid.
func EditMap(in []byte, edits []Edit, depth int) (out []byte, why string) {
	var bytes []byte
	list := make([]C.edit_at, len(edits))
	for i, e := range edits {
		list[i] = C.edit_at{C.uint32_t(e.Kind), C.uint32_t(e.A), C.uint32_t(e.B), C.uint32_t(len(bytes)), C.uint32_t(len(e.Bytes))}
		bytes = append(bytes, e.Bytes...)
	}
	out = make([]byte, len(in)+len(bytes)+4)
	var text *C.char
	written := C.edit_map(pointer(in), C.size_t(len(in)), unsafe.SliceData(list), C.size_t(len(list)),
		pointer(bytes), C.size_t(len(out)), C.int(depth), pointer(out), &text)
	if written == C.NOT_DONE {
		return nil, C.GoString(text)
	}
	return out[:written], ""
}

// AddMembers is EditMap for one EditAdd. ok is false for what it leaves to that function.
func AddMembers(in []byte, members uint32, bytes []byte, depth int) (out []byte, ok bool) {
	out = make([]byte, len(in)+len(bytes)+4)
	written := C.add_members(pointer(in), C.size_t(len(in)), C.uint32_t(members), pointer(bytes), C.size_t(len(bytes)),
		C.int(depth), pointer(out), C.size_t(len(out)))
	return out[:max(written, 0)], written != C.NOT_DONE
}

// Shape is what events have been like.
type Shape struct{ c C.flbwt_shape }

// Place is where an event is.
type Place struct {
	At, Time, Meta, Body, Next int
	Sec, Nsec                  uint32
}

// The results of ReadEvents.
const (
	ReadAll     = C.FLBWT_READ_ALL
	ReadFull    = C.FLBWT_READ_FULL
	ReadUnusual = C.FLBWT_READ_UNUSUAL
)

// ReadEvents is chunk.Next as C does it, for up to most events of data[from:], as long as they end at maxBytes.
func ReadEvents(data []byte, from, maxBytes int, shape *Shape, most int) (places []Place, reading int) {
	list := make([]C.flbwt_place, most)
	var n C.size_t
	reading = int(C.read_events(pointer(data), C.size_t(len(data)), C.size_t(from), C.size_t(maxBytes), &shape.c,
		unsafe.SliceData(list), C.size_t(most), &n))
	for _, p := range list[:n] {
		places = append(places, Place{int(p.at), int(p.time), int(p.meta), int(p.body), int(p.next), uint32(p.sec), uint32(p.nsec)})
	}
	return places, reading
}

func pointer(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(b)) }

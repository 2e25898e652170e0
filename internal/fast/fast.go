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
// // read_events reads all events of p, at most step at once, as batches of step events do.
// static bool read_events(const uint8_t *p, size_t n, size_t step, flbwt_shape *shape, flbwt_place *places, size_t max, size_t *read)
// {
//     size_t from = 0, some;
//     enum flbwt_reading reading = FLBWT_READ_FULL;
//
//     for (*read = 0; reading == FLBWT_READ_FULL && *read < max; *read += some) {
//         reading = flbwt_read_events(p, n, from, n, shape, places + *read, step, &some);
//         from = some > 0 ? places[*read + some - 1].next : from;
//     }
//     return reading == FLBWT_READ_ALL;
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

// Place is where an event and its parts begin, and where it ends, in a chunk. Meta is Body if it has no
// metadata.
type Place struct {
	At, Time, Meta, Body, Next int
	Sec, Nsec                  uint32
}

// Shape is what records have been like that ReadEvents has read.
type Shape struct{ c C.flbwt_shape }

// ReadEvents is chunk.Next as C does it for the events of a batch, step at once, up to the first that it
// leaves to that function; all says that there is none. What shape has seen makes no difference.
func (s *Shape) ReadEvents(data []byte, step int) (places []Place, all bool) {
	list := make([]C.flbwt_place, len(data)+step+1)
	var n C.size_t
	all = bool(C.read_events(pointer(data), C.size_t(len(data)), C.size_t(step), &s.c, &list[0], C.size_t(len(data)+1), &n))
	for _, p := range list[:n] {
		places = append(places, Place{int(p.at), int(p.time), int(p.meta), int(p.body), int(p.next), uint32(p.sec), uint32(p.nsec)})
	}
	return places, all
}

func pointer(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(b)) }

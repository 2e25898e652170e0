package guest

// #include "transcode.h"
//
// enum { NOT_DONE = -1 };
//
// static ptrdiff_t encode(const uint8_t *in, size_t n, uint8_t *out, size_t *used)
// {
//     const uint8_t *after;
//     flbwt_record record;
//     uint8_t *end = flbwt_encode(in, in + n, out, &after, &record);
//
//     *used = (size_t) (after - in);
//     return end != NULL ? end - out : NOT_DONE;
// }
//
// static ptrdiff_t decode(const uint8_t *in, size_t n, int depth, const uint8_t *body,
//                         size_t body_n, uint8_t *json, uint8_t *out)
// {
//     const uint8_t *after;
//     flbwt_record record;
//     bool known = body_n > 0 && flbwt_encode(body, body + body_n, json, &after, &record) != NULL;
//     uint8_t *end = flbwt_decode(in, in + n, in + n, depth, known ? &record : NULL, out);
//
//     return end != NULL ? end - out : NOT_DONE;
// }
import "C"

// Encode is transcode.AppendJSON as lanes do it. n is how many bytes it took of in; ok
// is false for what lanes leave to that function, and out is then dst.
func Encode(dst, in []byte) (out []byte, n int, ok bool) {
	buffer := make([]byte, len(in)*C.FLBWT_JSON_GROWTH+C.FLBWT_GROWTH_ROOM)
	var used C.size_t
	written := C.encode(pointer(in), C.size_t(len(in)), pointer(buffer), &used)
	if written == C.NOT_DONE {
		return dst, 0, false
	}
	return append(dst, buffer[:written]...), int(used), true
}

// Decode is transcode.AppendMsgpack as lanes do it, for a JSON object that ends with
// json, or somewhere before. ok is false for what lanes leave to that function, and out
// is then dst. body is the record that the object answers, or empty: it makes no
// difference.
func Decode(dst, json []byte, depth int, body []byte) (out []byte, ok bool) {
	buffer := make([]byte, len(json)*C.FLBWT_MSGPACK_GROWTH+C.FLBWT_GROWTH_ROOM)
	record := make([]byte, len(body)*C.FLBWT_JSON_GROWTH+C.FLBWT_GROWTH_ROOM)
	written := C.decode(pointer(json), C.size_t(len(json)), C.int(depth),
		pointer(body), C.size_t(len(body)), pointer(record), pointer(buffer))
	if written == C.NOT_DONE {
		return dst, false
	}
	return append(dst, buffer[:written]...), true
}

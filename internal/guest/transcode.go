package guest

// #include "transcode.h"
import "C"

import (
	"runtime"
	"slices"
	"unsafe"
)

// Encode is transcode.AppendJSON as lanes do it. n is how many bytes it took of in; ok
// is false for what lanes leave to that function, and out is then dst.
func Encode(dst, in []byte) (out []byte, n int, ok bool) {
	buffer := make([]byte, len(in)*C.FLBWT_JSON_GROWTH+C.FLBWT_GROWTH_ROOM)
	var after *C.uint8_t
	var pin runtime.Pinner // after is written through a pointer to a Go variable
	defer pin.Unpin()
	pin.Pin(unsafe.SliceData(in))
	end := C.flbwt_encode(pointer(in), (*C.uint8_t)(unsafe.Add(unsafe.Pointer(pointer(in)), len(in))), pointer(buffer), &after)
	if end == nil {
		return dst, 0, false
	}
	n = int(uintptr(unsafe.Pointer(after)) - uintptr(unsafe.Pointer(pointer(in))))
	return append(dst, buffer[:uintptr(unsafe.Pointer(end))-uintptr(unsafe.Pointer(pointer(buffer)))]...), n, true
}

// Decode is transcode.AppendMsgpack as lanes do it, for a JSON object that ends with
// json, or somewhere before. ok is false for what lanes leave to that function, and out
// is then dst.
func Decode(dst, json []byte, depth int) (out []byte, ok bool) {
	buffer := make([]byte, len(json)*C.FLBWT_MSGPACK_GROWTH+C.FLBWT_GROWTH_ROOM)
	stop := (*C.uint8_t)(unsafe.Add(unsafe.Pointer(pointer(json)), len(json)))
	end := C.flbwt_decode(pointer(json), stop, stop, C.int(depth), pointer(buffer))
	if end == nil {
		return dst, false
	}
	return append(slices.Clip(dst), buffer[:uintptr(unsafe.Pointer(end))-uintptr(unsafe.Pointer(pointer(buffer)))]...), true
}

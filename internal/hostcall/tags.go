package hostcall

// #include <stdlib.h>
// #include "tags.h"
import "C"

import "unsafe"

// TagMatches says whether a pattern of emit_tags matches a tag, for the tests' sake.
func TagMatches(pattern, tag string) bool {
	text, of := C.CString(pattern), C.CString(tag)
	defer C.free(unsafe.Pointer(text))
	defer C.free(unsafe.Pointer(of))
	p := C.flbwt_pattern{text: text, len: C.uint32_t(len(pattern))}
	return bool(C.flbwt_tag_matches(&p, (*C.uint8_t)(unsafe.Pointer(of)), C.size_t(len(tag))))
}

// Package libctest is the C library of the host, as an oracle for tests of what
// guests are given for theirs.
package libctest

// #include <stdint.h>
// #include <stdio.h>
// #include <stdlib.h>
//
// static int one_int(char *to, size_t n, const char *format, long long v) { return snprintf(to, n, format, v); }
// static int one_double(char *to, size_t n, const char *format, double v) { return snprintf(to, n, format, v); }
// static int one_long_double(char *to, size_t n, const char *format, double v) { return snprintf(to, n, format, (long double) v); }
// static int one_char(char *to, size_t n, const char *format, int v) { return snprintf(to, n, format, v); }
// static int one_string(char *to, size_t n, const char *format, const char *v) { return snprintf(to, n, format, v); }
import "C"

import "unsafe"

const bufferBytes = 32 << 10

func formatted(format string, print func(to *C.char, format *C.char) C.int) string {
	to := (*C.char)(C.calloc(1, bufferBytes))
	defer C.free(unsafe.Pointer(to))
	f := C.CString(format)
	defer C.free(unsafe.Pointer(f))
	return C.GoStringN(to, min(print(to, f), bufferBytes-1))
}

// Int formats one integer, whose length modifier has to be ll.
func Int(format string, v int64) string {
	return formatted(format, func(to, f *C.char) C.int { return C.one_int(to, bufferBytes, f, C.longlong(v)) })
}

// Double formats one double.
func Double(format string, v float64) string {
	return formatted(format, func(to, f *C.char) C.int { return C.one_double(to, bufferBytes, f, C.double(v)) })
}

// LongDouble formats one long double.
func LongDouble(format string, v float64) string {
	return formatted(format, func(to, f *C.char) C.int { return C.one_long_double(to, bufferBytes, f, C.double(v)) })
}

// Char formats one character.
func Char(format string, v byte) string {
	return formatted(format, func(to, f *C.char) C.int { return C.one_char(to, bufferBytes, f, C.int(v)) })
}

// String formats one string without NUL.
func String(format, v string) string {
	s := C.CString(v)
	defer C.free(unsafe.Pointer(s))
	return formatted(format, func(to, f *C.char) C.int { return C.one_string(to, bufferBytes, f, s) })
}

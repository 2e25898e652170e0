package guest

// #include <stdlib.h>
// #include "call.h"
// #include "../hostcall/wasi.h"
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"unsafe"
)

// walkPaths has the paths of all guests resolved as on kernels before 5.6, for the tests'
// sake.
var walkPaths bool

var errNoHostMemory = errors.New("the host has no memory for it")

// grant gives the guest what it may see of the host.
func (in *Instance) grant(config Config) error {
	var environment strings.Builder
	for _, e := range config.Env {
		name, value, _ := strings.Cut(e, "=")
		environment.WriteString(name + "=" + value + "\x00")
	}
	text := C.CString(environment.String())
	defer C.free(unsafe.Pointer(text))
	if !C.flbwt_wasi_open(&in.c.instance, text, C.size_t(environment.Len()), C.uint32_t(len(config.Env))) {
		return errNoHostMemory
	}
	if walkPaths {
		C.flbwt_wasi_walk(&in.c.instance)
	}
	for _, dir := range config.Dirs {
		path := C.CString(dir.Path)
		errno := C.flbwt_wasi_grant(&in.c.instance, path, C.bool(dir.Writable))
		C.free(unsafe.Pointer(path))
		if errno != 0 {
			return fmt.Errorf("can't give the directory %q to the module: %w", dir.Path, syscall.Errno(errno))
		}
	}
	return nil
}

// memoryData is where the guest's memory is, for the tests' sake.
func (in *Instance) memoryData() unsafe.Pointer {
	return unsafe.Pointer(C.wasmtime_memory_data(in.c.instance.context, &in.c.instance.memory))
}

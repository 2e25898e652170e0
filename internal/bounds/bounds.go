// Package bounds holds guests in: their memory (memory.c) and their time (watchdog.c), and keeps
// the signal handlers that both rely on (signals.c). It is C, for the C of other packages: what
// it offers is in the headers.
package bounds

// #cgo CFLAGS: -Werror=incompatible-pointer-types -Werror=int-conversion
import "C"

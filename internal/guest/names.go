package guest

import "bytes"

// wasmtime demangles the names of functions each time it words a trap, those of C++ by a library
// that writes out what a name refers back to: 250 bytes may become gigabytes, in the process that
// has to go on. Nothing turns that off, so a name that might is made one that it can't read.

// maxMangledBytes is how long a name may be that is left as it is: at most some ten thousand times
// as much can be made of it.
const maxMangledBytes = 128

// unreadable begins no name that can be demangled.
const unreadable = '~'

// subsectionFunctions is the part of the name section with names of functions.
const subsectionFunctions = 1

// harmless returns a module with names that wasmtime can word in bounded time. It has the same
// length, and is the same if its names are harmless.
func harmless(wasm []byte) []byte {
	var long []int // where such names begin
	at := wasmHeaderBytes
	_ = sections(wasm, func(id byte, whole, content []byte) error { // wasmtime says what is wrong with them
		at += len(whole)
		r := wasmReader{rest: content}
		if id != sectionCustom || string(r.bytes(r.u32())) != "name" {
			return nil
		}
		for len(r.rest) > 0 && !r.failed {
			id := r.byte()
			s := wasmReader{rest: r.bytes(r.u32())}
			if id != subsectionFunctions {
				continue
			}
			for n := s.u32(); n > 0 && !s.failed; n-- {
				s.u32()
				name := s.bytes(s.u32())
				if len(name) > maxMangledBytes && name[0] < 0x80 && !isRust(name) {
					long = append(long, at-len(r.rest)-len(s.rest)-len(name))
				}
			}
		}
		return nil
	})
	if len(long) == 0 {
		return wasm
	}
	wasm = bytes.Clone(wasm)
	for _, at := range long {
		wasm[at] = unreadable
	}
	return wasm
}

// isRust says of a name that it is one of Rust's, which are demangled in bounded time, and never as
// one of C++: _R…, or _ZN with names in a row and E.
func isRust(name []byte) bool {
	if bytes.HasPrefix(name, []byte("_R")) {
		return true
	}
	rest, ok := bytes.CutPrefix(name, []byte("_ZN"))
	for ok && len(rest) > 1 {
		n, digits := 0, 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' && n < len(name) {
			n = n*10 + int(rest[digits]-'0')
			digits++
		}
		if digits == 0 || n > len(rest)-digits {
			return false
		}
		rest = rest[digits+n:]
	}
	return ok && string(rest) == "E"
}

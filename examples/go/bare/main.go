//go:build wasip1

// Geo adds to each record where the client's address is from.
package main

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"gojson"
)

var (
	// The networks of GEO_FILE, read while the host runs _initialize.
	networks = open(os.Getenv("GEO_FILE"))

	// The host reads the reply after geo has returned: here it stays reachable.
	reply []byte

	// What malloc has given and free not taken.
	buffers = map[unsafe.Pointer][]byte{}

	// What free has taken last, for the next malloc: no garbage to collect.
	spare []byte
)

func open(path string) *table {
	if path == "" {
		fmt.Fprintln(os.Stderr, "GEO_FILE is not set: records pass unchanged")
		return new(table)
	}
	// Not os.Open: where accessible_paths starts with a relative path, it goes down
	// that path twice (Go 1.26).
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v: records pass unchanged (is the directory in accessible_paths?)\n", path, err)
		return new(table)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	t, err := read(f)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v: what can be read is used\n", path, err)
	}
	return t
}

// geo is called for each record. Tag and record are the host's memory: nothing
// may point there when it returns.
//
//go:wasmexport geo
func geo(tag string, sec, nsec uint32, record string) *byte {
	entry := ""
	if a, ok := address(record); ok {
		entry = networks.lookup(a)
	}
	if entry == "" {
		return unsafe.StringData(record)
	}
	reply = append(reply[:0], record[:strings.LastIndexByte(record, '}')]...)
	reply = append(reply, `,"geo":`...)
	reply = append(reply, entry...)
	reply = append(reply, "}\x00"...)
	return &reply[0]
}

// address finds the client's address in a record that has no key geo yet.
func address(record string) (found netip.Addr, ok bool) {
	done := false
	end := gojson.Members(record, 0, 128, func(key, value string) {
		switch gojson.Text(key) {
		case "geo":
			done = true
		case "client_ip", "remote_addr":
			if !found.IsValid() && value[0] == '"' {
				found = parse(gojson.Text(value))
			}
		}
	})
	return found, end >= 0 && !done && found.IsValid()
}

// parse reads an address, with or without a port.
func parse(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}
		}
		a = withPort.Addr()
	}
	return a.Unmap().WithZone("")
}

//go:wasmexport malloc
func malloc(size uint32) unsafe.Pointer {
	b := spare
	spare = nil
	if len(b) < max(int(size), 1) {
		b = make([]byte, size+size/2+1)
	}
	buffers[unsafe.Pointer(&b[0])] = b
	return unsafe.Pointer(&b[0])
}

//go:wasmexport free
func free(p unsafe.Pointer) {
	spare = buffers[p]
	delete(buffers, p)
}

func main() {}

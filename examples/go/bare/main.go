//go:build wasip1

// Geo adds to each record where the client's address is from.
package main

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"gojson"

	"geo/networks"
)

var (
	// The networks of GEO_FILE, read while the host runs _initialize.
	table = open(os.Getenv("GEO_FILE"))

	// The host reads the reply after geo has returned: here it stays reachable.
	reply []byte

	// What malloc has given and free not taken.
	buffers = map[unsafe.Pointer][]byte{}

	// What free has taken last, for the next malloc: no garbage to collect.
	spare []byte
)

func open(path string) *networks.Table[string] {
	if path == "" {
		fmt.Fprintln(os.Stderr, "GEO_FILE is not set: records pass unchanged")
		return new(networks.Table[string])
	}
	t, err := networks.Open(path, addition)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v: what can be read is used\n", err)
	}
	return t
}

// addition is made once for each network.
func addition(n networks.Network) string {
	b := []byte(`,"geo":{`)
	for _, field := range [...]struct{ name, text string }{{`"country":`, n.Country}, {`"city":`, n.City}} {
		if field.text != "" {
			b = append(b, field.name...)
			b = append(gojson.AppendQuoted(b, field.text), ',')
		}
	}
	if n.ASN != 0 {
		b = append(b, `"asn":`...)
		b = append(strconv.AppendUint(b, uint64(n.ASN), 10), ',')
	}
	return string(b[:len(b)-1]) + "}}\x00"
}

// geo is called for each record. Tag and record are the host's memory: nothing
// may point there when it returns.
//
//go:wasmexport geo
func geo(tag string, sec, nsec uint32, record string) *byte {
	a, ok := address(record)
	if !ok {
		return unsafe.StringData(record)
	}
	added, ok := table.Lookup(a)
	if !ok {
		return unsafe.StringData(record)
	}
	reply = append(reply[:0], record[:strings.LastIndexByte(record, '}')]...)
	reply = append(reply, added...)
	return &reply[0]
}

// address finds the client's address in a record that has no key geo yet: that of client_ip, or else of
// remote_addr.
func address(record string) (a netip.Addr, ok bool) {
	done, isClient := false, false
	end := gojson.Members(record, 0, 128, func(key, value string) {
		switch name := gojson.Text(key); name {
		case "geo":
			done = true
		case "client_ip", "remote_addr":
			if isClient || value[0] != '"' {
				return
			}
			if found, valid := networks.Address(gojson.Text(value)); valid {
				a, ok, isClient = found, true, name == "client_ip"
			}
		}
	})
	return a, ok && end >= 0 && !done
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

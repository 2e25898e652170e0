// Package networks finds what a file says of the network that an address lies in.
package networks

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Network is what the file says of a network; what it does not say is "" or 0.
type Network struct {
	Country, City string
	ASN           uint32
}

// Table has a value for each network, made while the file is read.
type Table[V any] struct {
	entries map[netip.Prefix]V
	lengths [2][]int // of prefixes, for IPv4 and IPv6, longest first
}

// Open reads a file as Read does.
func Open[V any](path string, make func(Network) V) (*Table[V], error) {
	// Not os.Open: where accessible_paths starts with a relative path, it goes down
	// that path twice (Go 1.26).
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		return new(Table[V]), fmt.Errorf("%s: %w (is the directory in accessible_paths?)", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	t, err := Read(f, make)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return t, err
}

// Read takes lines "network,country,city,asn"; '#' starts a comment. It goes on after a line that it can't
// take, and returns the first such error, with what it could take.
func Read[V any](r io.Reader, make func(Network) V) (*Table[V], error) {
	t := &Table[V]{entries: map[netip.Prefix]V{}}
	lines := csv.NewReader(r)
	lines.Comment = '#'
	lines.FieldsPerRecord = 4
	lines.ReuseRecord = true
	var first error
	for {
		fields, err := lines.Read()
		if err == io.EOF {
			return t, first
		}
		if err == nil {
			err = t.add(fields, make)
			if line, _ := lines.FieldPos(0); err != nil {
				err = fmt.Errorf("line %d: %w", line, err)
			}
		} else if !errors.As(err, new(*csv.ParseError)) {
			return t, err // reading fails: there is no next line
		}
		if first == nil {
			first = err
		}
	}
}

func (t *Table[V]) add(fields []string, make func(Network) V) error {
	prefix, err := netip.ParsePrefix(strings.TrimSpace(fields[0]))
	if err != nil {
		return err
	}
	asn := uint64(0)
	if fields[3] != "" {
		if asn, err = strconv.ParseUint(fields[3], 10, 32); err != nil {
			return err
		}
	}
	network := Network{strings.Clone(fields[1]), strings.Clone(fields[2]), uint32(asn)}
	if network == (Network{}) {
		return nil // nothing to say of it
	}
	t.entries[prefix.Masked()] = make(network)
	lengths := &t.lengths[family(prefix.Addr())]
	if i, ok := slices.BinarySearchFunc(*lengths, prefix.Bits(), func(a, b int) int { return b - a }); !ok {
		*lengths = slices.Insert(*lengths, i, prefix.Bits())
	}
	return nil
}

// Lookup returns the value of the longest network that holds an address.
func (t *Table[V]) Lookup(a netip.Addr) (value V, found bool) {
	for _, bits := range t.lengths[family(a)] {
		if network, err := a.Prefix(bits); err == nil {
			if value, found = t.entries[network]; found {
				return value, true
			}
		}
	}
	return value, false
}

// Address reads an address, with or without a port.
func Address(text string) (a netip.Addr, ok bool) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return a, false
		}
		a = withPort.Addr()
	}
	return a.Unmap().WithZone(""), true
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gojson"
)

// table finds the longest network that holds an address. What it answers is
// JSON, made while the file is read.
type table struct {
	entries map[netip.Prefix]string
	lengths [2][]int // of prefixes, for IPv4 and IPv6, longest first
}

// read takes lines "network,country,city,asn"; '#' starts a comment. It goes on
// after a line that it can't take, and answers the first such error.
func read(r io.Reader) (*table, error) {
	t := &table{entries: map[netip.Prefix]string{}}
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
			err = t.add(fields)
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

func (t *table) add(fields []string) error {
	network, err := netip.ParsePrefix(strings.TrimSpace(fields[0]))
	if err != nil {
		return err
	}
	entry := []byte("{")
	for i, name := range []string{`"country":`, `"city":`} {
		if field := fields[1+i]; field != "" {
			entry = append(entry, name...)
			entry = append(gojson.AppendQuoted(entry, field), ',')
		}
	}
	if fields[3] != "" {
		asn, err := strconv.ParseUint(fields[3], 10, 32)
		if err != nil {
			return err
		}
		entry = append(entry, `"asn":`...)
		entry = append(strconv.AppendUint(entry, asn, 10), ',')
	}
	if len(entry) == 1 {
		return nil // nothing to say of this network
	}
	entry[len(entry)-1] = '}'
	t.entries[network.Masked()] = string(entry)
	lengths := &t.lengths[family(network.Addr())]
	if i, ok := slices.BinarySearchFunc(*lengths, network.Bits(), func(a, b int) int { return b - a }); !ok {
		*lengths = slices.Insert(*lengths, i, network.Bits())
	}
	return nil
}

// lookup answers "" for an address of no network.
func (t *table) lookup(a netip.Addr) string {
	for _, bits := range t.lengths[family(a)] {
		if network, err := a.Prefix(bits); err == nil {
			if entry, ok := t.entries[network]; ok {
				return entry
			}
		}
	}
	return ""
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

package output

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tagtemplate"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// Records that give each other long markers and many tags don't make a small chunk a large one.
func TestMarkersOfManyTags(t *testing.T) {
	template, err := tagtemplate.Parse("$t")
	if err != nil {
		t.Fatal(err)
	}
	marker := mp.AppendString([]byte("\x81\xa1k"), strings.Repeat("m", 1<<20))
	for _, test := range []struct {
		tags     int
		metadata options.Metadata
		want     error
	}{
		{maxMarkerBytes>>20 - 1, options.MetadataOn, nil},
		{maxMarkerBytes>>20 + 1, options.MetadataOn, errMarkers},
		{maxMarkerBytes>>20 + 1, options.MetadataAuto, errMarkers},
		{maxMarkerBytes>>20 + 1, options.MetadataOff, nil},
	} {
		data := chunk.AppendRecord(nil, -1, 0, marker, []byte{0x80})
		for i := range test.tags {
			data = chunk.AppendRecord(data, 1, 0, nil, mp.AppendString([]byte("\x81\xa1t"), fmt.Sprint(i)))
		}
		data = chunk.AppendRecord(data, -2, 0, nil, []byte{0x80})
		groups, err := divide(data, "tag", template, test.metadata)
		if !errors.Is(err, test.want) || err == nil && len(groups) != test.tags {
			t.Errorf("%d tags, metadata %v: %d groups, %v", test.tags, test.metadata, len(groups), err)
		}
	}
}

// What the module has given tags of its own goes behind the rest, under these.
func TestRoutedGoesToTheDestination(t *testing.T) {
	event := func(log string) []byte {
		return oracle.Pack(oracle.Current(oracle.Timestamp(1, 0), map[string]any{}, map[string]any{"log": log, "to": "not asked"}))
	}
	g := &guest{routed: []filter.Routed{{Tag: "other", Events: append(event("b"), event("c")...)}, {Tag: "$TAG", Events: event("d")}}}
	template, err := tagtemplate.Parse("x.$to")
	if err != nil {
		t.Fatal(err)
	}
	o := &Output{options: options.Output{Tag: template}, log: newSink()}
	p := &parcel{tag: "app", input: event("a"), transformed: make(chan struct{})}
	o.transform(g, p)
	if p.err != nil {
		t.Fatal(p.err)
	}
	var got []string
	for _, one := range p.groups {
		got = append(got, one.tag, strconv.Itoa(one.count))
	}
	if diff := cmp.Diff([]string{"x.not asked", "1", "other", "2", "$TAG", "1"}, got); diff != "" {
		t.Error(diff)
	}
	g.routed[1].Events = []byte{0xc1}
	p = &parcel{tag: "app", input: event("a"), transformed: make(chan struct{})}
	if o.transform(g, p); p.err == nil {
		t.Error("events that can't be read are no error")
	}
}

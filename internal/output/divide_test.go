package output

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tagtemplate"
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

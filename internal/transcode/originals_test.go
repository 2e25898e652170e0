package transcode

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

// through takes a record to JSON, has change do what a guest does, and reads it back.
func through(t *testing.T, record []byte, change func(json string) string) []byte {
	t.Helper()
	json, _, err := AppendJSON(nil, record)
	if err != nil {
		t.Fatal(err)
	}
	var o Originals
	o.Find(record)
	out, _, err := AppendMsgpackOf(nil, []byte(change(string(json))), MaxDepth, &o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(json string) string { return json }

// What JSON can't hold is what it was after a guest has returned it, wherever that puts it.
func TestOriginals(t *testing.T) {
	replace := func(json string) func(string) string { return func(string) string { return json } }
	for _, test := range []struct {
		name, record string
		change       func(string) string
		want         string
	}{
		{"latin 1", "\x81\xa1a\xa2\xe1b", same, "\x81\xa1a\xa2\xe1b"},
		{"a member added", "\x81\xa1a\xa2\xe1b", replace(`{"a":"` + replacement + `b","k":1}`), "\x82\xa1a\xa2\xe1b\xa1k\x01"},
		{"escaped by the guest", "\x81\xa1a\xa2\xe1b", replace(`{"a":"\ufffdb"}`), "\x81\xa1a\xa2\xe1b"},
		{"wrapped", "\x81\xa1a\xa2\xe1b", replace(`{"r":{"a":"` + replacement + `b"}}`), "\x81\xa1r\x81\xa1a\xa2\xe1b"},
		{"renamed", "\x81\xa1a\xa2\xe1b", replace(`{"new":"` + replacement + `b"}`), "\x81\xa3new\xa2\xe1b"},
		{"changed", "\x81\xa1a\xa2\xe1b", replace(`{"a":"` + replacement + `c"}`), "\x81\xa1a\xa4" + replacement + "c"},
		{"nested", "\x81\xa1a\x81\xa1b\x92\x01\xa1\xff", same, "\x81\xa1a\x81\xa1b\x92\x01\xa1\xff"},
		{"in the order of the record", "\x81\xa1a\x93\xa1\xe1\xa1\xe9\xa1\xe1", same, "\x81\xa1a\x93\xa1\xe1\xa1\xe9\xa1\xe1"},
		{"beside what is U+FFFD", "\x81\xa1a\x92\xa3" + replacement + "\xa1\xe9", same, "\x81\xa1a\x92\xa3" + replacement + "\xa1\xe9"},
		{"one name twice", "\x82\xa1a\xa1\xe1\xa1a\xa1\xe9", same, "\x82\xa1a\xa1\xe1\xa1a\xa1\xe9"},
		{"other names", "\x82\xa1a\xa1\xe1\xa1b\xa1\xe9", replace(`{"b":"` + replacement + `","a":"` + replacement + `"}`), "\x82\xa1b\xa1\xe9\xa1a\xa1\xe1"},
		{"key", "\x81\xa2k\xe1\x01", same, "\x81\xa2k\xe1\x01"},
		{"bin", "\x82\xa1a\xc4\x03abc\xa1b\xa3abc", same, "\x82\xa1a\xc4\x03abc\xa1b\xa3abc"},
		{"bin under another name", "\x81\xa1a\xc4\x03abc", replace(`{"b":"abc"}`), "\x81\xa1b\xa3abc"},
		{"extension", "\x81\xa1a\xd4\x05\x0a", same, "\x81\xa1a\xd4\x05\x0a"},
		{"float 32", "\x82\xa1a\xca\x3f\x80\x00\x00\xa1b\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", same, "\x82\xa1a\xca\x3f\x80\x00\x00\xa1b\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"},
		{"NaN and null", "\x82\xa1a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01\xa1b\xc0", same, "\x82\xa1a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01\xa1b\xc0"},
		{"surrogates, of which nothing is lost", "\x81\xa1a\xa6\xed\xa0\xbd\xed\xb8\x80", same, "\x81\xa1a\xa4\xf0\x9f\x98\x80"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := through(t, []byte(test.record), test.change); string(got) != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// A record with more parts than are kept is what its JSON says, all of it.
func TestManyOriginals(t *testing.T) {
	record := mp.AppendArrayHeader([]byte("\x81\xa1a"), maxParts+1)
	for range maxParts + 1 {
		record = append(record, 0xa1, 0xe1)
	}
	var o Originals
	if o.Find(record); !o.Empty() {
		t.Errorf("%d parts are kept", len(o.parts))
	}
	o.Find([]byte("\x81\xa1a\xa1\xe1"))
	if o.Empty() {
		t.Error("nothing is kept of the next record")
	}
}

// What is kept of a record, and the time that a reply takes, grow with their bytes, not with the
// length of a key times the number of values under it.
func TestOriginalsUnderLongKey(t *testing.T) {
	key := strings.Repeat("k", 1<<20)
	record := mp.AppendStringHeader([]byte{0x81}, len(key))
	record = mp.AppendArrayHeader(append(record, key...), maxParts)
	for i := range maxParts {
		record = binary.BigEndian.AppendUint32(append(record, 0xca), math.Float32bits(float32(i)))
	}
	var o Originals
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	o.Find(record)
	runtime.ReadMemStats(&after)
	if o.Empty() {
		t.Fatal("nothing is kept")
	}
	if most := 20 * uint64(len(record)); after.TotalAlloc-before.TotalAlloc > most {
		t.Errorf("of a record of %d bytes %d are made, more than %d", len(record), after.TotalAlloc-before.TotalAlloc, most)
	}

	// In quadratic time this takes an hour.
	key = strings.Repeat("k", 8<<20)
	values := 8 << 20
	reply := append(append([]byte(`{"`), key...), `":[0`...)
	reply = append(append(reply, bytes.Repeat([]byte(",0"), values-1)...), "]}"...)
	out, _, err := AppendMsgpackOf(nil, reply, MaxDepth, &o)
	if want := 1 + 5 + len(key) + 5 + values; err != nil || len(out) != want {
		t.Errorf("%d bytes, want %d: %v", len(out), want, err)
	}
}

// FuzzOriginals: a record that is returned as it was is as it was, as another codec reads it.
func FuzzOriginals(f *testing.F) {
	for _, s := range []string{
		"\x81\xa1a\xa2\xe1b", "\x81\xa1a\x93\xa1\xe1\xa1\xe9\xa3\xef\xbf\xbd", "\x82\xa1a\xca\x3f\x80\x00\x00\xa1a\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00",
		"\x82\xa1a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01\xa1b\xc0", "\x81\xa1a\xd4\x05\x0a", "\x81\xa1a\xc4\x03abc", "\x81\xa2k\xe1\x81\xa1\xff\x92\xc4\x01\xfe\xa1\xfe",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		rest, err := mp.Skip(record, MaxDepth)
		if err != nil || mp.KindOf(record[0]) != mp.Map {
			t.Skip()
		}
		record = record[:len(record)-len(rest)]
		// msgp reads maps with text for keys; surrogates are joined on purpose.
		want, _, err := msgp.ReadIntfBytes(record)
		if err != nil || hasSurrogates(record) {
			t.Skip()
		}
		var o Originals
		if o.Find(record); len(o.parts) == 0 && o.kinds != 0 {
			t.Skip() // too many
		}
		got, _, err := msgp.ReadIntfBytes(through(t, record, same))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(unsigned(want), unsigned(got), cmpopts.EquateNaNs(), cmp.AllowUnexported(msgp.Number{})); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// unsigned makes integers equal that differ in width or sign only.
func unsigned(v any) any {
	switch v := v.(type) {
	case int64:
		if v >= 0 {
			return uint64(v)
		}
	case []any:
		for i := range v {
			v[i] = unsigned(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = unsigned(v[k])
		}
	}
	return v
}

func hasSurrogates(b []byte) bool {
	for i := range b {
		if r, size := surrogates(b[i:]); size > 1 && r > 0xffff {
			return true
		}
	}
	return false
}

package tables

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/oschwald/maxminddb-golang/v2"
)

func FuzzAddress(f *testing.F) {
	for _, text := range []string{"1.2.3.4", "::", "1:2:3:4:5:6:1.2.3.4", "::ffff:1.2.3.4", "1::8", "fe80::1%eth0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkAddress(t, text) })
}

// loaded makes a table of bytes, which has been freed at the test's end; nil: they are refused.
func loaded(t *testing.T, name, column string, content []byte, unverified bool) *loader {
	l := newLoader(1<<20, version{size: int64(len(content))})
	l.unverified = unverified
	t.Cleanup(l.close)
	if err := l.read(Spec{Path: name, Column: column}, bytes.NewReader(content)); err != nil {
		return nil
	}
	return l
}

// within is the definition of a path: in a map all that is left of it is a key, or else what is
// before the first dot.
func within(v any, path string) (any, bool) {
	for first := true; path != "" || !first; first = false {
		name, rest, more := strings.Cut(path, ".")
		switch c := v.(type) {
		case map[string]any:
			if e, ok := c[path]; ok {
				return e, true
			}
			e, ok := c[name]
			if !ok {
				return nil, false
			}
			v = e
		case []any:
			i, err := strconv.ParseUint(name, 10, 32)
			if err != nil || name[0] == '+' || len(name) > 9 || i >= uint64(len(c)) {
				return nil, false
			}
			v = c[i]
		default:
			return nil, false
		}
		if path = rest; !more {
			return v, true
		}
	}
	return v, true
}

// asDecoded makes of what the library decodes what MessagePack has.
func asDecoded(v any) any {
	switch v := v.(type) {
	case uint16:
		return float64(v)
	case uint32:
		return float64(v)
	case int32:
		return float64(v)
	case int:
		return float64(v)
	case []byte:
		return string(v)
	case *big.Int:
		if v.IsUint64() {
			return float64(v.Uint64())
		}
		return v.String()
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = asDecoded(v[i])
		}
		return list
	case map[string]any:
		m := map[string]any{}
		for k, e := range v {
			m[k] = asDecoded(e)
		}
		return m
	default:
		return numbers(v)
	}
}

// nesting is how many containers are within each other.
func nesting(v any) (deepest int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			deepest = max(deepest, nesting(e))
		}
		return deepest + 1
	case map[string]any:
		for _, e := range v {
			deepest = max(deepest, nesting(e))
		}
		return deepest + 1
	}
	return 0
}

// Of any bytes a look-up finds what the library finds, or that they are damaged; verified or not.
func FuzzMaxMind(f *testing.F) {
	nested := mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("DE"), "n": mmdbtype.Uint32(7)},
		"list": mmdbtype.Slice{mmdbtype.Float64(1.5), mmdbtype.Bool(true), mmdbtype.Bytes{1}, mmdbtype.Int32(-1)}}
	for _, size := range []int{24, 28, 32} {
		for _, version := range []int{4, 6} {
			content := mmdb(f, mmdbwriter.Options{RecordSize: size, IPVersion: version, DisableIPv4Aliasing: true}, map[string]mmdbtype.DataType{
				"1.0.0.0/8": nested, "2.0.0.0/7": mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("DE"), "n": mmdbtype.Uint32(7)}}})
			f.Add(content, "1.2.3.4", "country.iso_code")
			f.Add(content, "2.2.3.4", "")
			f.Add(content, "::1", "list.0")
			for _, at := range []int{len(content) / 4, len(content) / 3, len(content) / 2} {
				damaged := bytes.Clone(content)
				damaged[at] ^= 0x2f
				f.Add(damaged, "1.2.3.4", "")
			}
		}
	}
	f.Fuzz(checkMaxMind)
}

func checkMaxMind(t *testing.T, content []byte, key, path string) {
	if len(content) > 100_000 {
		return
	}
	l := loaded(t, "a.mmdb", "", content, true)
	if l == nil {
		return
	}
	r, err := maxminddb.OpenBytes(content)
	if err != nil {
		t.Fatal(err)
	}
	got, n := get(l.table, key, path, Msgpack, false, 1<<20)
	asJSON, nJSON := get(l.table, key, path, JSON, false, 1<<20)
	if n < 0 && nJSON != n {
		t.Fatalf("%d as MessagePack, %d as JSON", n, nJSON)
	}
	if nJSON >= 0 && nJSON < 1<<20 && !json.Valid(asJSON) {
		t.Fatalf("no JSON: %s", asJSON)
	}
	address, err := netip.ParseAddr(key)
	if err != nil || address.Zone() != "" {
		if n != Absent {
			t.Fatalf("%q: %d", key, n)
		}
		return
	}
	result := r.Lookup(address.Unmap())
	var v any
	if result.Err() != nil || result.Found() && result.Decode(&v) != nil {
		// What the library finds damaged may be within what a path does not lead to.
		if n >= 0 && path == "" {
			t.Fatalf("%v, %v: got %x", result.Err(), result.Decode(&v), got)
		}
		return
	}
	want, found := v, result.Found()
	if found {
		want, found = within(v, path)
	}
	switch {
	case n == Damaged && (nesting(v) > 31 || len(content) > 10_000 || hasUnknownType(content)):
	case n == Damaged:
		t.Fatalf("damaged, and the library finds %v in %x", v, content[22:])
	case (n >= 0) != found:
		t.Fatalf("%q: %d, want %v", path, n, want)
	case found && n < 1<<20:
		if diff := cmp.Diff(asDecoded(want), numbers(valueOf(t, got)), cmpopts.EquateNaNs()); diff != "" {
			t.Fatal(diff)
		}
	}
}

// hasUnknownType says whether there may be a value of a type that there is not: the library counts its
// number on from 0 beyond 255, and has maps of two numbers.
func hasUnknownType(content []byte) bool {
	for i, end := 22, bytes.LastIndex(content, metadataMark); i+1 < end; i++ {
		if content[i] < 0x20 && (content[i+1] < 1 || content[i+1] > 8) {
			return true
		}
	}
	return false
}

// withData makes a MaxMind DB of one node, which leads addresses from 0.0.0.0 to 127.255.255.255 to
// the first byte of that data.
func withData(data []byte) []byte {
	const node = "\x00\x00\x11\x00\x00\x01" // 1 node, 16 bytes of zeroes, byte 0; and nothing
	const metadata = "\xab\xcd\xefMaxMind.com\xe5" +
		"\x4anode_count\xc1\x01" + "\x4brecord_size\xa1\x18" + "\x4aip_version\xa1\x04" + "\x4ddatabase_type\x41x" + "\x5bbinary_format_major_version\xa1\x02"
	return []byte(node + strings.Repeat("\x00", 16) + string(data) + metadata)
}

// The same of values alone: pointers, lengths and types of any kind.
func FuzzMaxMindValue(f *testing.F) {
	for _, data := range []string{
		"\xe1\x41a\x41b", "\x02\x04\x41x\xa2\x01\x02", "\x20\x00", "\x20\x02", "\xe1\x41a\x20\x00", "\xe2\x41a\x20\x06\x41b\x20\x04\x41z",
		"\x04\x01\xff\xff\xff\xff", "\x10\x03" + strings.Repeat("\xff", 16), "\x68" + strings.Repeat("\x3f", 8), "\x04\x08\x3f\x80\x00\x00",
		"\x01\x07", "\x00\x07", "\x5d\x00" + strings.Repeat("y", 29), "\x5e\x00\x00" + strings.Repeat("y", 285), "\x5f\x00\x00\x00", "\x38\x00\x00\x00\x05\x41p",
		strings.Repeat("\x01\x04", 40) + "\xa0", strings.Repeat("\xe1\x41a", 33) + "\xa0", "\xff\xff\xff\xff", "\x1f\x04\xff\xff\xff",
		"\xe1\x20\x04\xa0\x41a", "\x02\x04\x20\x04\xe1\x41k\x20\x00",
	} {
		f.Add([]byte(data), "")
		f.Add([]byte(data), "a.0")
	}
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		if bytes.Contains(data, metadataMark) {
			return
		}
		checkMaxMind(t, withData(data), "1.1.1.1", path)
	})
}

// Bytes that mean something in the format, in any order.
func TestMaxMindValues(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"\xe1", "\xe2", "\x41a", "\x42bc", "\x20\x00", "\x20\x02", "\x20\x05", "\x20\x09", "\x28\x00", "\x03\x01", "\x04\x08\x00\x00\x80\x3f", "\x03\x02\x01\x07", "\xa1\x05", "\xc0", "\x91\x01", "\x68",
		"\x5d", "\xff", "\x02\x04", "\x01\x04", "\x01\x07", "\x04\x02\x01\x02\x03\x04", "\x3f", "\x80", "\x38\x00\x00"}
	found, damaged := 0, 0
	for range 30_000 {
		var data []byte
		for range 1 + random.IntN(14) {
			data = append(data, parts[random.IntN(len(parts))]...)
		}
		content := withData(data)
		checkMaxMind(t, content, "1.1.1.1", []string{"", "a", "a.bc", "0", "1.a"}[random.IntN(5)])
		if t.Failed() {
			t.Fatalf("data %x", data)
		}
		if _, n := get(loaded(t, "a.mmdb", "", content, true).table, "1.1.1.1", "", JSON, false, 0); n >= 0 {
			found++
		} else {
			damaged++
		}
	}
	if found < 3000 || damaged < 3000 {
		t.Errorf("%d values were whole, %d damaged", found, damaged)
	}
}

// Of any JSON that is taken a look-up finds what encoding/json decodes.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,-2,1.5,"x\u20ac",null,true],"b.0":{}}, "n": 1e300, "a": {"b": 9007199254740993}}`), "a", "b.1")
	f.Add([]byte(`{"\u0000":"\ud83d\ude00"}`), "\x00", "")
	f.Fuzz(func(t *testing.T, content []byte, key, path string) {
		l := loaded(t, "a.json", "", content, false)
		if l == nil {
			return
		}
		// Where text is not UTF-8, or a surrogate stands alone, the two differ.
		if !utf8.Valid(content) || bytes.Contains(bytes.ToLower(content), []byte(`\ud`)) {
			return
		}
		var all map[string]any
		if err := json.Unmarshal(bytes.TrimPrefix(content, byteOrderMark), &all); err != nil {
			t.Fatalf("%v: it was taken", err)
		}
		v, ok := all[key]
		if ok {
			v, ok = within(v, path)
		}
		got, n := get(l.table, key, path, JSON, false, 1<<20)
		if (n >= 0) != ok {
			t.Fatalf("%d, want %v", n, v)
		}
		if n < 0 {
			return
		}
		var decoded any
		if err := json.Unmarshal(got, &decoded); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if diff := cmp.Diff(v, decoded); diff != "" {
			t.Fatal(diff)
		}
		raw, _ := get(l.table, key, path, Msgpack, false, 1<<20)
		if diff := cmp.Diff(v, numbers(valueOf(t, raw))); diff != "" {
			t.Fatal(diff)
		}
		if s, ok := v.(string); ok {
			if text, _ := get(l.table, key, path, Text, false, 1<<20); string(text) != s {
				t.Fatalf("%q, want %q", text, s)
			}
		}
	})
}

// Of any CSV that is taken a look-up finds the fields of the last row with the key.
func FuzzCSV(f *testing.F) {
	f.Add([]byte(users), "7")
	f.Add([]byte("a\n\"x\ny\"\n"), "x\ny")
	f.Fuzz(func(t *testing.T, content []byte, key string) {
		l := loaded(t, "a.csv", "", content, false)
		rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(content, byteOrderMark))).ReadAll()
		if l == nil {
			return
		}
		if err != nil {
			t.Fatalf("%v: it was taken", err)
		}
		var want []string
		for _, row := range rows[1:] {
			if row[0] == key {
				want = row[1:]
			}
		}
		if _, n := get(l.table, key, "", JSON, false, 1<<20); (n >= 0) != (want != nil) {
			t.Fatalf("%d, want %q", n, want)
		}
		for i, v := range want {
			if name := rows[0][i+1]; name != "" && len(name) <= 1024 {
				if got, n := get(l.table, key, name, Text, false, len(v)); string(got) != v {
					t.Fatalf("%s: %q (%d), want %q", name, got, n, v)
				}
			}
		}
	})
}

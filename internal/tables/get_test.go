package tables

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/ugorji/go/codec"
)

func write(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// open opens tables that are called by the letters from a on.
func open(t testing.TB, interval time.Duration, paths ...string) *Set {
	t.Helper()
	config := Config{LimitBytes: 64 << 20, Interval: interval}
	for i, path := range paths {
		config.Specs = append(config.Specs, Spec{Name: string(rune('a' + i)), Path: path})
	}
	s, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// valueOf decodes MessagePack by another codec.
func valueOf(t testing.TB, b []byte) any {
	t.Helper()
	v, err := decode(b)
	if err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	return v
}

func decode(b []byte) (v any, err error) {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.RawToString = false
	h.MapType = nil
	d := codec.NewDecoderBytes(b, h)
	if err = d.Decode(&v); err == nil && d.NumBytesRead() != len(b) {
		err = fmt.Errorf("%d bytes of %d", d.NumBytesRead(), len(b))
	}
	return text(v), err
}

// text makes text of what the codec decodes strings to, and maps with text for keys.
func text(v any) any {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case []any:
		for i := range v {
			v[i] = text(v[i])
		}
		return v
	case map[any]any:
		m := map[string]any{}
		for k, e := range v {
			m[text(k).(string)] = text(e)
		}
		return m
	default:
		return v
	}
}

const users = "\xef\xbb\xbfid,name,dept.code,\"note, long\"\r\n" +
	"7,Ann,D1,\"says \"\"hi\"\"\nand more\"\r\n" +
	"eight,Bob,,\r\n" +
	"7,Anna,D2,\x01\xff\r\n"

// What is in files of each format is what is found, in each form, and by paths.
func TestGet(t *testing.T) {
	dir := t.TempDir()
	s := open(t, 0,
		write(t, dir+"/users.CSV", []byte(users)),
		write(t, dir+"/a.json", []byte(` {"x": {"a": {"b": [1, -2, {"c": "deep"}]}, "a.b": "dotted", "n": null, "t": true, "f": 0.5, "big": 18446744073709551615}, "": "empty", "s": "\"\u20ac", "x.y": []} `)),
		write(t, dir+"/set.csv", []byte("only\na\n\nb")),
	)
	for _, test := range []struct {
		table     int
		key, path string
		form      Form
		want      string
	}{
		{0, "7", "", JSON, `{"name":"Anna","dept.code":"D2","note, long":"\u0001` + "\ufffd" + `"}`},
		{0, "eight", "", JSON, `{"name":"Bob","dept.code":"","note, long":""}`},
		{0, "eight", "name", Text, "Bob"},
		{0, "eight", "name", JSON, `"Bob"`},
		{0, "eight", "name", Msgpack, "\xa3Bob"},
		{0, "7", "dept.code", Text, "D2"},
		{0, "7", "note, long", Text, "\x01\xff"},
		{0, "eight", "", Text, `{"name":"Bob","dept.code":"","note, long":""}`},
		{0, "eight", "", Msgpack, "\x83\xa4name\xa3Bob\xa9dept.code\xa0\xaanote, long\xa0"},
		{1, "x", "a.b", Text, "dotted"},
		{1, "x", "a.b.2.c", Text, "deep"},
		{1, "x", "a.b.0", Text, "1"},
		{1, "x", "a.b.1", Msgpack, "\xfe"},
		{1, "x", "a", JSON, `{"b":[1,-2,{"c":"deep"}]}`},
		{1, "x", "n", JSON, "null"},
		{1, "x", "t", Text, "true"},
		{1, "x", "f", Text, "0.5"},
		{1, "x", "big", JSON, "18446744073709551615"},
		{1, "", "", Text, "empty"},
		{1, "s", "", JSON, `"\"€"`},
		{1, "s", "", Text, `"€`},
		{1, "x.y", "", JSON, "[]"},
		{2, "a", "", JSON, "{}"},
		{2, "b", "", Msgpack, "\x80"},
	} {
		for _, room := range []int{len(test.want), len(test.want) + 100} {
			got, n := s.Get(test.table, test.key, test.path, test.form, false, room)
			if string(got) != test.want {
				t.Errorf("%d %q %q as %d: %q (%d), want %q", test.table, test.key, test.path, test.form, got, n, test.want)
			}
		}
		if _, n := s.Get(test.table, test.key, test.path, test.form, false, len(test.want)-1); n != len(test.want) {
			t.Errorf("%q %q with room for less: %d, want %d", test.key, test.path, n, len(test.want))
		}
	}
	for _, test := range []struct {
		table     int
		key, path string
	}{
		{0, "8", ""}, {0, "7 ", ""}, {0, "", ""}, {0, "id", ""}, {0, "7", "id"}, {0, "7", "name."}, {0, "7", "dept"}, {2, "", ""},
		{1, "x", "a.b.3"}, {1, "x", "a.b.-1"}, {1, "x", "a.b."}, {1, "x", "a.b.0.0"}, {1, "x", "q"}, {1, "s", "q"}, {1, "x", "."},
		{1, "x", "a.b.99999999999"}, {1, "x", strings.Repeat("a.", 600)}, {1, strings.Repeat("x", 65537), ""},
	} {
		if _, n := s.Get(test.table, test.key, test.path, JSON, false, 1000); n != Absent {
			t.Errorf("%d %.20q %.20q: %d, want none", test.table, test.key, test.path, n)
		}
	}
	if got := s.Describe()[0]; !strings.Contains(got, `2 entries`) || !strings.Contains(got, `of 1 keys that are there again, such as "7", the last one counts`) {
		t.Error(got)
	}
}

// Many keys, some of which differ little, against a map of Go's.
func TestManyKeys(t *testing.T) {
	var content bytes.Buffer
	w := csv.NewWriter(&content)
	_ = w.Write([]string{"k", "v"})
	want := map[string]string{}
	for i := range 50_000 {
		key := strings.Repeat("k", i%40) + fmt.Sprint(i)
		want[key] = fmt.Sprint(i * 7)
		_ = w.Write([]string{key, want[key]})
	}
	w.Flush()
	s := open(t, 0, write(t, t.TempDir()+"/a.csv", content.Bytes()))
	for key, v := range want {
		if got, _ := s.Get(0, key, "v", Text, false, 20); string(got) != v {
			t.Fatalf("%s: %s, want %s", key, got, v)
		}
		if _, n := s.Get(0, key+"x", "v", Text, false, 20); n != Absent {
			t.Fatalf("%sx: %d", key, n)
		}
	}
}

// The column with the keys may be named.
func TestColumn(t *testing.T) {
	path := write(t, t.TempDir()+"/a.csv", []byte("a,b,c\n1,2,3\n4,5,6\n"))
	s, err := Open(Config{Specs: []Spec{{Name: "x", Path: path, Column: "b"}}, LimitBytes: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, _ := s.Get(0, "5", "", JSON, false, 100); string(got) != `{"a":"4","c":"6"}` {
		t.Error(string(got))
	}
}

// A file that can't be taken is an error that names the option, the file, and where it is wrong.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	deep := `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + "}"
	good := mmdb(t, mmdbwriter.Options{}, map[string]mmdbtype.DataType{"1.0.0.0/8": mmdbtype.String("x")})
	for _, test := range []struct{ name, content, column, want string }{
		{"empty.csv", "", "", "the first line must name the columns"},
		{"fields.csv", "a,b\n1,2\n\n3\n", "", "line 4: it has another number of fields than line 1"},
		{"quote.csv", "a,b\n\"1,2\n3,4\n", "", "line 3: extraneous or missing \" in quoted-field"},
		{"bare.csv", "a,b\n1\"x,2\n", "", "line 2: bare \" in non-quoted-field"},
		{"column.csv", "a,b\n1,2\n", "c", `it has no column "c": it has "a", "b"`},
		{"twice.csv", "a,b,b\n", "", `line 1: the columns 2 and 3 have the same name: "b"`},
		{"key.csv", "a,b\n1,2\n" + strings.Repeat("k", 65537) + ",2\n", "", "line 3: a key has 65537 bytes: at most 65536 are taken"},
		{"value.csv", "a,b\n1," + strings.Repeat("v", 1<<20) + "\n", "", `line 2: the value of "1" has 1048581 bytes: at most 1048576 are taken`},
		{"empty.json", " ", "", "it is empty"},
		{"list.json", "[1]", "", "does not hold a JSON object"},
		{"null.json", "null", "", "does not hold a JSON object"},
		{"cut.json", `{"a":{"b":1}`, "", "it ends within the object, at byte 12"},
		{"cut2.json", `{"a":`, "", "it ends within the object"},
		{"bad.json", `{"a":1,"b":tru}`, "", "at byte 11: invalid character"},
		{"number.json", `{"a":1e999}`, "", `the value of "a", before byte 10: `},
		{"more.json", `{} {}`, "", "something follows the object, at byte"},
		{"deep.json", deep, "", `the value of "a", before byte `},
		{"none.mmdb", "", "", "it is not a MaxMind DB, or not all of one: "},
		{"text.mmdb", strings.Repeat("a,b\n", 100), "", "it is not a MaxMind DB, or not all of one: "},
		{"cut.mmdb", string(good[:len(good)-20]), "", "it is not a MaxMind DB, or not all of one: "},
		{"torn.mmdb", string(good[:6]) + strings.Repeat("\xff", 100) + string(good[106:]), "", "it is damaged: node 1 leads out of it"},
		{"value.mmdb", string(withData([]byte("\xe1\x41a\x42b"))), "", "the value at byte 0 of its data is damaged, nests more than 31 deep"},
		{"deep.mmdb", string(withData([]byte(strings.Repeat("\xe1\x41a", 32) + "\xa0"))), "", "the value at byte 0 of its data is damaged, nests more than 31 deep"},
		{"version.mmdb", strings.Replace(string(withData([]byte("\x41a"))), "major_version\xa1\x02", "major_version\xa1\x03", 1), "", "it has version 3 of the format: 2 is known"},
		{"records.mmdb", strings.Replace(string(withData([]byte("\x41a"))), "record_size\xa1\x18", "record_size\xa1\x14", 1), "", "20 "},
		{"absent.csv", "", "", "no such file"},
		{"directory.json", "", "", "not a regular file"},
		{"pipe.json", "", "", "not a regular file"},
	} {
		path := filepath.Join(dir, test.name)
		switch test.name {
		case "absent.csv":
		case "directory.json":
			_ = os.Mkdir(path, 0o700)
		case "pipe.json":
			mkfifo(t, path)
		default:
			write(t, path, []byte(test.content))
		}
		_, err := Open(Config{Specs: []Spec{{Name: "my", Path: path, Column: test.column}}, LimitBytes: 64 << 20})
		if err == nil {
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, want := range []string{"option table.my: ", path + ": ", test.want} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", test.name, err, want)
			}
		}
	}
}

// All tables together have the room of the limit.
func TestLimit(t *testing.T) {
	dir := t.TempDir()
	var content bytes.Buffer
	content.WriteString("k,v\n")
	for i := range 2000 {
		fmt.Fprintf(&content, "%d,%s\n", i, strings.Repeat("x", 100))
	}
	a, b := write(t, dir+"/a.csv", content.Bytes()), write(t, dir+"/b.csv", content.Bytes())
	one := open(t, 0, a).Bytes()
	if one < 2000*100 || one > 2000*200 {
		t.Fatalf("%d bytes are told of", one)
	}
	specs := []Spec{{Name: "a", Path: a}, {Name: "b", Path: b}}
	if _, err := Open(Config{Specs: specs, LimitBytes: 2*one - 1000}); err == nil ||
		!strings.Contains(err.Error(), fmt.Sprintf("option table.b: %s: it has no room within table_limit of %d bytes, of which other tables have %d", b, 2*one-1000, one)) {
		t.Error(err)
	}
	s, err := Open(Config{Specs: specs, LimitBytes: 2 * one})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	for name, content := range map[string][]byte{"/a.json": []byte(`{"a":"` + strings.Repeat("x", 5000) + `"}`), "/a.mmdb": make([]byte, 5000)} {
		if _, err := Open(Config{Specs: []Spec{{Name: "a", Path: write(t, dir+name, content)}}, LimitBytes: 4000}); err == nil ||
			!strings.Contains(err.Error(), "it has no room within table_limit of 4000 bytes") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// mmdb makes a MaxMind DB of networks.
func mmdb(t testing.TB, o mmdbwriter.Options, networks map[string]mmdbtype.DataType) []byte {
	t.Helper()
	o.DatabaseType, o.IncludeReservedNetworks, o.BuildEpoch = "Test-DB", true, 1_700_000_000
	if o.RecordSize == 0 {
		o.RecordSize = 24
	}
	o.Description = map[string]string{"en": "made by a test"}
	o.Languages = []string{"en"}
	w, err := mmdbwriter.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for prefix, value := range networks {
		_, network, err := net.ParseCIDR(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(network, value); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := w.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Every type of the format, in each size of record, found by text and by bytes.
func TestMaxMind(t *testing.T) {
	big := mmdbtype.Uint128{}
	(*bigInt)(&big).SetString("340282366920938463463374607431768211455", 10)
	all := mmdbtype.Map{
		"string": mmdbtype.String("Köln \""), "long": mmdbtype.String(strings.Repeat("x", 70_000)), "double": mmdbtype.Float64(52.5),
		"float": mmdbtype.Float32(0.25), "bytes": mmdbtype.Bytes{1, 0xab}, "u16": mmdbtype.Uint16(65535), "u32": mmdbtype.Uint32(1 << 31),
		"i32": mmdbtype.Int32(-7), "u64": mmdbtype.Uint64(1<<64 - 1), "u128": &big, "yes": mmdbtype.Bool(true), "no": mmdbtype.Bool(false),
		"list": mmdbtype.Slice{mmdbtype.Uint32(0), mmdbtype.Map{"en": mmdbtype.String("one")}},
	}
	for _, size := range []int{24, 28, 32} {
		content := mmdb(t, mmdbwriter.Options{RecordSize: size}, map[string]mmdbtype.DataType{
			"192.0.2.0/24": all, "198.51.100.7/32": mmdbtype.Map{"who": mmdbtype.String("v4")}, "2001:db8::/32": mmdbtype.Map{"who": mmdbtype.String("v6")},
			"203.0.113.0/25": mmdbtype.Map{"a": mmdbtype.Map{"b": mmdbtype.String("nested")}, "a.b": mmdbtype.String("dotted")},
		})
		s := open(t, 0, write(t, t.TempDir()+"/a.mmdb", content))
		raw, _ := s.Get(0, "192.0.2.9", "", Msgpack, false, 200_000)
		want := map[string]any{
			"string": "Köln \"", "long": strings.Repeat("x", 70_000), "double": 52.5, "float": float32(0.25), "bytes": "\x01\xab", "u16": int64(65535),
			"u32": int64(1 << 31), "i32": int64(-7), "u64": uint64(1<<64 - 1), "u128": "340282366920938463463374607431768211455", "yes": true, "no": false,
			"list": []any{int64(0), map[string]any{"en": "one"}},
		}
		if diff := cmp.Diff(numbers(want), numbers(valueOf(t, raw))); diff != "" {
			t.Errorf("records of %d bits: %s", size, diff)
		}
		asJSON, _ := s.Get(0, "192.0.2.9", "", JSON, false, 200_000)
		var decoded map[string]any
		if err := json.Unmarshal(asJSON, &decoded); err != nil {
			t.Fatal(err)
		}
		want["bytes"] = "01ab"
		if diff := cmp.Diff(numbers(want), numbers(decoded)); diff != "" {
			t.Errorf("records of %d bits, as JSON: %s", size, diff)
		}
		for _, test := range []struct{ key, path, want string }{
			{"198.51.100.7", "who", "v4"},
			{"::ffff:198.51.100.7", "who", "v4"},
			{"2001:DB8:0::1", "who", "v6"},
			{"192.0.2.255", "list.1.en", "one"},
			{"192.0.2.0", "u64", "18446744073709551615"},
			{"203.0.113.1", "a.b", "dotted"},
			{"203.0.113.1", "a", `{"b":"nested"}`},
		} {
			if got, n := s.Get(0, test.key, test.path, Text, false, 100); string(got) != test.want {
				t.Errorf("%s %s: %q (%d), want %q", test.key, test.path, got, n, test.want)
			}
			b := netip.MustParseAddr(test.key)
			for _, key := range []string{string(b.AsSlice()), string(b.Unmap().AsSlice())} {
				if got, n := s.Get(0, key, test.path, Text, true, 100); string(got) != test.want {
					t.Errorf("%x %s: %q (%d), want %q", key, test.path, got, n, test.want)
				}
			}
		}
		for _, test := range []struct {
			key, path string
			isAddress bool
		}{
			{"198.51.100.8", "", false}, {"2001:db9::", "", false}, {"host", "", false}, {"", "", false}, {"198.51.100.7", "", true},
			{"198.51.100.7", "whom", false}, {"198.51.100.7", "who.", false}, {"192.0.2.1", "list.2", false}, {"\x01\x02\x03", "", true},
		} {
			if _, n := s.Get(0, test.key, test.path, JSON, test.isAddress, 100); n != Absent {
				t.Errorf("%q %q: %d, want none", test.key, test.path, n)
			}
		}
	}
	bare := open(t, 0, write(t, t.TempDir()+"/bare.mmdb", withData([]byte("\x41a")))) // without description and languages
	if got, _ := bare.Get(0, "1.2.3.4", "", Text, false, 1); string(got) != "a" {
		t.Errorf("%q", got)
	}
	v4 := open(t, 0, write(t, t.TempDir()+"/v4.mmdb", mmdb(t, mmdbwriter.Options{IPVersion: 4}, map[string]mmdbtype.DataType{"0.0.0.0/1": mmdbtype.String("low")})))
	for key, want := range map[string]string{"1.2.3.4": `"low"`, "200.1.1.1": "", "::1": "", "::ffff:1.2.3.4": `"low"`} {
		if got, _ := v4.Get(0, key, "", JSON, false, 100); string(got) != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, text := range []string{
		"0.0.0.0", "255.255.255.255", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "1..3.4", "1.2.3.4:80", "", ".", "0001.1.1.1",
		"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", ":::", ":1", "1:", "12345::", "g::", "::1%eth0",
		"1:2:3:4:5:6:1.2.3.4", "::1.2.3.4", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "1.2.3.4::", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
		"1:2:3:4::5:6:7:8", "[::1]", "fe80::ABCD", strings.Repeat("0", 46), "::1.2.3.4.5", "::1.2.3.4:5",
	} {
		checkAddress(t, text)
	}
}

func checkAddress(t *testing.T, text string) {
	t.Helper()
	var want []byte
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		want = a.Unmap().AsSlice()
	}
	if got := Address(text); !bytes.Equal(got, want) {
		t.Errorf("%q: %v, want %v", text, got, want)
	}
}

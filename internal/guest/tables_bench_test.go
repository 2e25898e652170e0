package guest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tables"
)

// BenchmarkLookup is what a guest's look-up in a large table costs, the call of the host function
// included: 4,096 keys in turn, in a table of 200,000.
func BenchmarkLookup(b *testing.B) {
	const entries, asked = 200_000, 4096
	random := rand.New(rand.NewPCG(1, 2))
	var rows, object bytes.Buffer
	db, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Bench-City", RecordSize: 28, IncludeReservedNetworks: true})
	if err != nil {
		b.Fatal(err)
	}
	var keys, addresses, texts strings.Builder
	rows.WriteString("id,name,department,site\n")
	object.WriteString("{")
	for i := range entries {
		key := fmt.Sprintf("%08x", random.Uint32())
		address := net.IPv4(byte(1+random.IntN(220)), byte(random.IntN(256)), byte(random.IntN(256)), 0).To4()
		fmt.Fprintf(&rows, "%s,Name %d,Department %d,Site %d\n", key, i, i%100, i%7)
		fmt.Fprintf(&object, `"%s":{"name":"Name %d","department":"Department %d","site":{"id":%d}},`, key, i, i%100, i%7)
		if err := db.Insert(&net.IPNet{IP: address, Mask: net.CIDRMask(24, 32)}, city(i%5000)); err != nil {
			b.Fatal(err)
		}
		if i%(entries/asked) == 0 && keys.Len() < 8*asked {
			keys.WriteString(key)
			addresses.WriteString(string(address[:3]) + "\x09....")
			text := net.IP{address[0], address[1], address[2], 9}.String()
			texts.WriteString(text + strings.Repeat(" ", 16-len(text)))
		}
	}
	object.WriteString(`"last":{}}`)
	var content bytes.Buffer
	if _, err := db.WriteTo(&content); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	var specs []tables.Spec
	for name, content := range map[string][]byte{"a.csv": rows.Bytes(), "b.json": object.Bytes(), "c.mmdb": content.Bytes()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			b.Fatal(err)
		}
		specs = append(specs, tables.Spec{Name: name, Path: path})
	}
	set, err := tables.Open(tables.Config{Specs: specs, LimitBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer set.Close()
	for _, line := range set.Describe() {
		b.Log(line)
	}

	const csv, json, mmdb = 0, 1, 2
	for _, test := range []struct {
		name         string
		table        int
		keys         string
		keyLen, step int
		path         string
		form         int
	}{
		{"none", csv, strings.Repeat("no-such-", asked), 8, 8, "", 0},
		{"CSV/field", csv, keys.String(), 8, 8, "department", 2},
		{"CSV/row_as_JSON", csv, keys.String(), 8, 8, "", 0},
		{"CSV/row_as_MessagePack", csv, keys.String(), 8, 8, "", 1},
		{"JSON/path", json, keys.String(), 8, 8, "site.id", 2},
		{"JSON/value_as_MessagePack", json, keys.String(), 8, 8, "", 1},
		{"MaxMind/path_by_bytes", mmdb, addresses.String(), 4, 8, "country.iso_code", 16 + 2},
		{"MaxMind/path_by_text", mmdb, texts.String(), 0, 16, "country.iso_code", 2},
		{"MaxMind/record_as_JSON", mmdb, addresses.String(), 4, 8, "", 16},
		{"MaxMind/record_as_MessagePack", mmdb, addresses.String(), 4, 8, "", 16 + 1},
	} {
		b.Run(test.name, func(b *testing.B) {
			var data strings.Builder
			for _, c := range []byte(test.keys) {
				fmt.Fprintf(&data, "\\%02x", c)
			}
			// The length of a text is up to its first blank.
			length := fmt.Sprintf("(i32.const %d)", test.keyLen)
			if test.keyLen == 0 {
				length = `(call $length (local.get 1))`
			}
			in := instantiate(b, fmt.Sprintf(`(module
  (import "flb_v1" "table_get" (func $get (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 8)
  (data (i32.const 1024) "%s") (data (i32.const 65536) "%s")
  (func $length (param i32) (result i32) (local i32)
    (loop (if (i32.ne (i32.load8_u (i32.add (local.get 0) (local.get 1))) (i32.const 32))
      (then (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br 1))))
    (local.get 1))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local.set 1 (i32.const 65536))
    (local.set 0 (i32.const %d))
    (loop
      (local.set 2 (i32.add (local.get 2) (call $get (i32.const %d) (local.get 1) %s (i32.const 1024) (i32.const %d) (i32.const %d) (i32.const 8192) (i32.const 8192))))
      (local.set 1 (i32.add (local.get 1) (i32.const %d)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.store (i32.const 1028) (i32.sub (local.get 2) (local.get 3)))
    (i32.store8 (i32.const 1027) (i32.const 0xc4)) (i32.store8 (i32.const 1028) (i32.const 0))
    (i32.const 1027)))`, test.path, data.String(), asked, test.table, length, len(test.path), test.form, test.step),
				Config{Msgpack: true, Tables: set})
			var batch Batch
			defer batch.Close()
			best := time.Hour // others use the machine, too
			for b.Loop() {
				from := time.Now()
				reply(b, in, &batch, []byte("\x80"), nil)
				best = min(best, time.Since(from))
			}
			b.ReportMetric(float64(best.Nanoseconds())/asked, "ns/look-up")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// city is a record as large as those of a database of cities.
func city(i int) mmdbtype.Map {
	names := func(kind string) mmdbtype.Map {
		m := mmdbtype.Map{}
		for _, language := range []string{"de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"} {
			m[mmdbtype.String(language)] = mmdbtype.String(fmt.Sprintf("%s %d in %s", kind, i, language))
		}
		return m
	}
	return mmdbtype.Map{
		"city":      mmdbtype.Map{"geoname_id": mmdbtype.Uint32(i), "names": names("City")},
		"continent": mmdbtype.Map{"code": mmdbtype.String("EU"), "geoname_id": mmdbtype.Uint32(6255148), "names": names("Continent")},
		"country":   mmdbtype.Map{"geoname_id": mmdbtype.Uint32(2921044), "iso_code": mmdbtype.String("DE"), "names": names("Country")},
		"location": mmdbtype.Map{"accuracy_radius": mmdbtype.Uint16(20), "latitude": mmdbtype.Float64(float64(i) / 64),
			"longitude": mmdbtype.Float64(13.405), "time_zone": mmdbtype.String("Europe/Berlin")},
		"postal":       mmdbtype.Map{"code": mmdbtype.String("10115")},
		"subdivisions": mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String("BE"), "names": names("Land")}},
	}
}

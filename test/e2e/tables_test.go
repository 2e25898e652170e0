package e2e

import (
	"encoding/csv"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// While records flow, the file of a table is replaced, many times, and once by a bad one: no record
// is lost, each finds a version that was there, in their order, and the log tells of it.
func TestTableIsRefreshed(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		dir := t.TempDir()
		path := filepath.Join(dir, "t.csv")
		replace := func(content string) {
			writeFile(t, path+".new", content)
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
		// Of some 200 KB, so that loading takes a while.
		version := func(n int) string {
			var b strings.Builder
			w := csv.NewWriter(&b)
			_ = w.Write([]string{"key", "version"})
			for i := range 10_000 {
				_ = w.Write([]string{fmt.Sprintf("other-%d", i), "0"})
			}
			_ = w.Write([]string{"k", fmt.Sprint(n)})
			w.Flush()
			return b.String()
		}
		replace(version(0))
		const records = 3000
		run := fb.start(t, pipeline{
			inputs: []plugin{{name: "dummy", options: []string{"tag", "t", "rate", "1000", "samples", fmt.Sprint(records), "dummy", `{"a":1}`}}},
			filters: []plugin{filterOf(guest(t, "lookup"), "table.T", path, "table_refresh", "20ms"),
				filterOf(guest(t, "identity"))},
		})
		seen := func() (versions []string) {
			for _, body := range bodies(run.events()) {
				value, _ := body.(map[string]any)["value"].(map[string]any)
				versions = append(versions, fmt.Sprint(value["version"]))
			}
			return versions
		}
		run.untilEvents(1)
		const versions = 5
		for n := 1; n <= versions; n++ {
			replace(version(n))
			run.until(fmt.Sprintf("version %d", n), func() bool {
				all := seen()
				return len(all) == records || len(all) > 0 && all[len(all)-1] == fmt.Sprint(n)
			})
		}
		replace("key,version\nk\n")
		run.untilEvents(records)
		run.stop()
		all := seen()
		if len(all) != records {
			t.Errorf("%d records, want %d", len(all), records)
		}
		for i, last := 0, "0"; i < len(all); i++ {
			if all[i] < last || all[i] > fmt.Sprint(versions) {
				t.Fatalf("record %d found version %s, the one before %s", i, all[i], last)
			}
			last = all[i]
		}
		if all[len(all)-1] == "0" {
			t.Error("no record found a new version")
		}
		for _, line := range []string{
			"table t: " + path + ", 10001 entries, ",
			": refreshed",
			"option table.t: " + path + ": line 2: it has another number of fields than line 1: the version that was loaded before stays",
		} {
			if run.logLine("wasmtime.0", line) == "" {
				t.Errorf("no line of the log has %q", line)
			}
		}
	})
}

// A MaxMind DB, and both forms of configuration.
func TestMaxMindTable(t *testing.T) {
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test", RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	_, network, _ := net.ParseCIDR("192.0.2.0/24")
	if err := w.Insert(network, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("DE")}, "location": mmdbtype.Map{"latitude": mmdbtype.Float64(52.5)}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "City.mmdb")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteTo(out); err != nil {
		t.Fatal(err)
	}
	out.Close()
	module := filepath.Join(t.TempDir(), "geo.wat")
	writeFile(t, module, geo)
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		checkOneRecord(t, fb, map[string]any{"country": "DE", "latitude": 52.5}, filterOf(module, "table.geo", path))
	})
}

// geo looks up 192.0.2.9, by text and by bytes.
const geo = `(module
  (import "flb_v1" "table_open" (func $open (param i32 i32) (result i32)))
  (import "flb_v1" "table_get" (func $get (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "geo192.0.2.9\c0\00\02\09country.iso_codelocation.latitude")
  (data (i32.const 65536) "{\"country\":\"  \",\"latitude\":")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local.set 0 (call $open (i32.const 16) (i32.const 3)))
    (drop (call $get (local.get 0) (i32.const 19) (i32.const 9) (i32.const 32) (i32.const 16) (i32.const 2) (i32.const 65548) (i32.const 2)))
    (local.set 1 (call $get (local.get 0) (i32.const 28) (i32.const 4) (i32.const 48) (i32.const 17) (i32.const 16) (i32.const 65563) (i32.const 99)))
    (i32.store16 (i32.add (i32.const 65563) (local.get 1)) (i32.const 0x7d))
    (i32.const 65536)))`

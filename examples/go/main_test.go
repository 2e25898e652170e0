package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/flbtest"
)

// start starts the filter with a file of these lines.
func start(t *testing.T, lines string) (*flbtest.Started, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "geo.csv")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return (&flbtest.Host{Config: map[string]string{"file": path}}).Start(configure)
}

func TestTheLongestNetworkCounts(t *testing.T) {
	filter, err := start(t, "10.0.0.0/8,XX,,\n10.1.0.0/16,DE,Kiel,64496\n10.1.2.0/24,,,64497\n10.1.2.3/32,,,\n::/0,JP,,\n")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"10.9.9.9": `{"country":"XX"}`, "10.1.9.9": `{"country":"DE","city":"Kiel","asn":64496}`,
		"10.1.2.3": `{"asn":64497}`, "[fe80::1%eth0]:80": `{"country":"JP"}`, "::ffff:10.1.9.9": `{"country":"DE","city":"Kiel","asn":64496}`,
	} {
		record := `{"client_ip":"` + address + `"`
		got := filter.Run(flbtest.Record{Body: record + "}"}).Bodies()
		if want := []string{record + `,"geo":` + want + "}"}; !slices.Equal(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestNothingToAdd(t *testing.T) {
	filter, err := start(t, "10.0.0.0/8,XX,,\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"client_ip":"11.0.0.1","remote_addr":"10.0.0.1"}`, `{"client_ip":"10.0.0.1","geo":null}`,
		`{"client_ip":167772161}`, `{"client_ip":"10.0.0.256"}`, `{}`,
	} {
		if got := filter.Run(flbtest.Record{Body: body}).Bodies(); !slices.Equal(got, []string{body}) {
			t.Errorf("%s of %s", got, body)
		}
	}
}

func TestAFileThatCannotBeReadIsRefused(t *testing.T) {
	for lines, want := range map[string]string{
		"10.0.0.0/8,XX,,\nhere,XX,,\n": "line 2: ",
		"10.0.0.0/8,XX,,AS64496\n":     "line 1: ",
		"10.0.0.0/8,XX\n":              "record on line 1: wrong number of fields",
	} {
		if _, err := start(t, lines); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for path, want := range map[string]string{
		"":       "config.file: set it to the file of networks",
		"/none/": "is the directory in accessible_paths?",
	} {
		host := &flbtest.Host{Config: map[string]string{}}
		if path != "" {
			host.Config["file"] = path
		}
		if _, err := host.Start(configure); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

package main

import (
	"slices"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/flbtest"
)

// Whatever passes or is left out, what comes out and what is said of repeats add up.
func TestNothingIsLost(t *testing.T) {
	host := &flbtest.Host{Config: map[string]string{"window": "10s"}}
	filter, err := host.Start(configure)
	if err != nil {
		t.Fatal(err)
	}
	full := flbtest.Record{Body: `{"host":"a","message":"disk is full"}`}
	passed, said := 0, []string{}
	for i := range 7 {
		passed += len(filter.Run(full, full).Records)
		host.Advance(4 * time.Second)
		out, err := filter.Tick(i == 6)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out {
			said = append(said, r.Body)
		}
	}
	// 14 came; one passed in each window, at 0, 12 and 24 s.
	one, two := `{"host":"a","message":"disk is full","repeated":1}`, `{"host":"a","message":"disk is full","repeated":2}`
	if want := []string{one, two, two, one, two, two, one}; passed != 3 || !slices.Equal(said, want) {
		t.Errorf("%d passed, and %q", passed, said)
	}
}

package main

import (
	"slices"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/flbtest"
)

// What a window has left out is said by the first message after it, whatever came between.
func TestRepeatedAfterTheWindow(t *testing.T) {
	host := &flbtest.Host{Config: map[string]string{"window": "10s"}}
	filter, err := host.Start(configure)
	if err != nil {
		t.Fatal(err)
	}
	full := flbtest.Record{Body: `{"message":"disk is full"}`}
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{
		{0, []string{`{"message":"disk is full"}`}},
		{9 * time.Second, nil},
		{500 * time.Millisecond, nil},
		{500 * time.Millisecond, []string{`{"message":"disk is full","repeated":2}`}},
		{10 * time.Second, []string{`{"message":"disk is full"}`}},
	} {
		host.Advance(step.after)
		if got := filter.Run(full).Bodies(); !slices.Equal(got, step.want) {
			t.Errorf("after another %v: %q, want %q", step.after, got, step.want)
		}
	}
}

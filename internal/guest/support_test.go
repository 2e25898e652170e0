package guest

import (
	"testing"
	"time"
)

func TestEngineText(t *testing.T) {
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	// The days are those of wasmtime's table of releases.
	for _, c := range []struct{ version, now, want string }{
		{"24.0.0", "2026-08-19", "wasmtime 24.0.0 (supported until 2026-08-20)"},
		{"36.0.20", "2026-11-26", "wasmtime 36.0.20 (supported until 2027-08-20)"},
		{"44.0.0", "2026-06-19", "wasmtime 44.0.0 (supported until 2026-06-20)"},
		{"44.0.0", "2026-06-21", "wasmtime 44.0.0 (out of support since 2026-06-20)"},
		{"48.0.8", "2028-08-20", "wasmtime 48.0.8 (supported until 2028-08-20)"},
		{"48.0.8", "2028-08-21", "wasmtime 48.0.8 (out of support since 2028-08-20)"},
		{"unknown", "2026-11-26", "wasmtime unknown"},
	} {
		if got := engineText(c.version, day(c.now)); got != c.want {
			t.Errorf("%s on %s: %q, want %q", c.version, c.now, got, c.want)
		}
	}
}

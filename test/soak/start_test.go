package soak

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGHUP while the plugin starts: before it stands in front of the host's handler,
// or while wasmtime's own handlers are being installed. One for each start: more,
// and Fluent Bit's handler, which takes locks, meets itself.
func TestHangupAtStart(t *testing.T) {
	if len(fluentBits) == 0 {
		t.Skip("*** SIGNALS NOT TESTED: no Fluent Bit; set FLUENT_BIT, or have fluent-bit on PATH ***")
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.reloads {
			t.Skip("SIGHUP ends this Fluent Bit")
		}
		for delay := time.Duration(0); delay < 12*time.Millisecond; delay += 1500 * time.Microsecond {
			t.Run(delay.String(), func(t *testing.T) { hangupAtStart(t, fb, delay) })
		}
	})
}

// hangupAtStart sends a SIGHUP that long after Fluent Bit has said its version,
// which it does before it starts filters.
func hangupAtStart(t *testing.T, fb fluentBit, delay time.Duration) {
	dir := t.TempDir()
	ports := map[string]string{"told": freePort(t), "faults": freePort(t)}
	p := fb.start(t, dir, soakConfig(t, dir, ports), "-e", pluginPath)
	p.often(100*time.Microsecond, "its version", func() bool { return strings.Contains(p.log(), "version=") })
	said := time.Now()
	p.often(100*time.Microsecond, "the moment", func() bool { return time.Since(said) >= delay })
	p.signal(syscall.SIGHUP)
	p.often(time.Millisecond, "the start of the filters", func() bool {
		return strings.Contains(p.log(), "[filter:wasmtime:stack] module")
	})

	s := &stream{name: "faults", author: newAuthor(2, nil), in: p.dial(ports["faults"]),
		path: filepath.Join(dir, "faults.out"), window: 20}
	p.run([]*stream{s}, func() bool { return s.next >= 100 }, nil)
	p.stop()
	if err := s.err(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(p.log(), "caught signal (SIGHUP)") {
		t.Error("Fluent Bit has not seen the SIGHUP")
	}
}

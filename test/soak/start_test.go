package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGHUP while the plugin starts: before it stands in front of the host's handler,
// and while wasmtime's own handlers are being installed.
func TestHangupAtStart(t *testing.T) {
	if len(fluentBits) == 0 {
		t.Skip("*** SIGNALS NOT TESTED: no Fluent Bit; set FLUENT_BIT, or have fluent-bit on PATH ***")
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.reloads {
			t.Skip("SIGHUP ends this Fluent Bit")
		}
		for i := range 3 {
			t.Run(fmt.Sprint(i), func(t *testing.T) { hangupAtStart(t, fb) })
		}
	})
}

func hangupAtStart(t *testing.T, fb fluentBit) {
	dir := t.TempDir()
	ports := map[string]string{"told": freePort(t), "faults": freePort(t)}
	p := fb.start(t, dir, soakConfig(t, dir, ports), "-e", pluginPath)
	p.often(100*time.Microsecond, "the handler of SIGHUP", p.handlesHangup)
	sent := 0
	p.often(500*time.Microsecond, "the start of the filters", func() bool {
		p.signal(syscall.SIGHUP)
		sent++
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
		t.Errorf("%d SIGHUPs sent, none seen by Fluent Bit", sent)
	}
}

// handlesHangup tells whether the process has installed a handler for SIGHUP,
// which would end it before.
func (p *process) handlesHangup() bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\nSigCgt:")
	mask, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
	caught, err := strconv.ParseUint(mask, 16, 64)
	return err == nil && caught&(1<<(syscall.SIGHUP-1)) != 0
}

package guest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// A process that may not make memory executable, from the start or from some time on, is
// told so, in one line, each time.
func TestNoExecutableMemory(t *testing.T) {
	const prSetMDWE, refuseExecGain = 65, 1
	for _, when := range []string{"from the start", "later"} {
		t.Run(when, func(t *testing.T) {
			if !child(t, "") {
				return
			}
			dir := t.TempDir()
			small, bulky := filepath.Join(dir, "small.wat"), filepath.Join(dir, "bulky.wat")
			for path, text := range map[string]string{small: guests.WAT("identity"), bulky: large(t)} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			sources := []Source{{Path: small}, {Path: bulky}, {Path: small, StackBytes: 1 << 20}}
			if when == "later" {
				precompiled := filepath.Join(dir, "small.cwasm")
				if _, err := Compile(small, precompiled, CompileConfig{}); err != nil {
					t.Fatal(err)
				}
				sources = append(sources, Source{Path: precompiled, AllowPrecompiled: true})
			}
			if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetMDWE, refuseExecGain, 0, 0, 0, 0); errno != 0 {
				t.Logf("the kernel can't deny it: %v", errno)
				return
			}
			for _, source := range sources {
				for range 2 {
					m, err := Load(source)
					if err == nil {
						m.Close()
					}
					if !errors.Is(err, errNotExecutable) || strings.Contains(err.Error(), "\n") {
						t.Errorf("%v: %v", source, err)
					}
				}
			}
			for _, cpu := range []string{"native", "baseline"} {
				if cpu == "baseline" && when == "later" && len(capi.Targets) > 0 {
					continue // nothing has to be made runnable
				}
				if _, err := Compile(small, filepath.Join(dir, "x.cwasm"), CompileConfig{CPU: cpu}); !errors.Is(err, errNotExecutable) {
					t.Errorf("%s: %v", cpu, err)
				}
			}
		})
	}
}

// An engine that could not be started is started again at the next use, whole: guests
// that take too long are ended.
func TestEngineStartsAgain(t *testing.T) {
	if !child(t, "") {
		return
	}
	path := filepath.Join(t.TempDir(), "guest.wat")
	if err := os.WriteFile(path, []byte(guests.WAT("infinite_loop")), 0o600); err != nil {
		t.Fatal(err)
	}
	right := trapText
	for text, want := range map[string]string{
		`(module (func (export "trap")))`: "a trap was not noticed",
		`(module`:                         "wasmtime can't be started",
	} {
		trapText = text
		if _, err := Load(Source{Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	trapText = right
	in := instantiate(t, guests.WAT("infinite_loop"), Config{Timeout: 50 * time.Millisecond})
	b := Batch{In: []byte(`{"loop":true}`)}
	defer b.Close()
	b.Add(0, 1, 2)
	if _, err := in.Run(nil, &b, 0, 1); err == nil || b.Records[0].Outcome != TimedOut {
		t.Errorf("%v, %v", b.Records[0].Outcome, err)
	}
}

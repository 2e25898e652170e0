package host

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// How the host holds metrics and traces is found out, or refused, and nothing of it is lost or freed twice.
func TestOTLPBorder(t *testing.T) {
	const (
		ok      = "metrics: ok\ntraces: ok\n"
		metrics = "metrics: how this Fluent Bit holds metrics is not known\ntraces: ok\n"
		traces  = "metrics: ok\ntraces: how this Fluent Bit holds traces is not known\n"
	)
	for flags, want := range map[string]string{
		"-DLISTS=5":      ok,
		"-DLISTS=6":      ok,
		"-DLISTS=40":     metrics, // farther than is looked
		"-DWRONG_GAUGE":  metrics,
		"-DWRONG_SPAN":   traces,
		"-DWRONG_TRACES": traces,
	} {
		t.Run(flags, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "otlp")
			build := exec.Command("gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Wno-unused-function", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
				flags, "-rdynamic", "-o", program, "src/otlp.c")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			out, err := exec.Command(program).CombinedOutput()
			if err != nil || string(out) != want {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// Payloads that the host's encoders of OTLP do not survive are told from those that they do.
func TestRefusedPayloads(t *testing.T) { passes(t, "refused") }

// Where an input or output has its metrics is found by what it must be, and what is not like that is left alone.
func TestMetricsOfOwner(t *testing.T) { passes(t, "owner") }

// Memory that can't be read is told from such that can, and a context that stands in two places from one that is known.
func TestHostAccess(t *testing.T) { passes(t, "access") }

// passes runs a program that takes files of the plugin alone, and asserts.
func passes(t *testing.T, name string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	build := exec.Command("gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Wno-unused-function", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
		"-Isrc/stub", "-rdynamic", "-o", program, "src/"+name+".c", "-ldl", "-lpthread")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(program).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

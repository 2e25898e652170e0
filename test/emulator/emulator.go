// Package emulator has tests run what is compiled for another processor: by the command in the
// environment variable FLB_EMULATOR, such as "qemu-aarch64 -L /usr/aarch64-linux-gnu".
package emulator

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Words are the words of a command line that runs a program.
func Words(path string, args ...string) []string {
	words := append(strings.Fields(os.Getenv("FLB_EMULATOR")), path)
	return append(words, args...)
}

// Command is exec.Command for such a program.
func Command(path string, args ...string) *exec.Cmd {
	words := Words(path, args...)
	return exec.Command(words[0], words[1:]...)
}

// Used says whether what is tested runs in an emulator: this process, which the kernel then
// knows by the emulator's name, or those that it starts.
func Used() bool {
	name, _ := os.ReadFile("/proc/self/comm")
	return os.Getenv("FLB_EMULATOR") != "" || strings.HasPrefix(string(name), "qemu-")
}

// Skip skips a test that an emulator can't judge, for the reason given.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if Used() {
		t.Skip("in an emulator: " + reason)
	}
}

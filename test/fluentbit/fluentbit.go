// Package fluentbit finds what tests of the built plugin run: the plugin itself,
// and real Fluent Bits.
package fluentbit

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// Binary is a Fluent Bit to test with.
type Binary struct {
	Path    string
	Version string // names subtests, and nothing else is decided by it
	Help    string // what -h prints, without colours
}

// Find returns the Fluent Bits that the environment variable FLUENT_BIT lists,
// separated by colons, or the fluent-bit of PATH; none if there is neither.
func Find() ([]Binary, error) {
	var paths []string
	if list := os.Getenv("FLUENT_BIT"); list != "" {
		paths = filepath.SplitList(list)
	} else if path, err := exec.LookPath("fluent-bit"); err == nil {
		paths = []string{path}
	}
	var found []Binary
	for _, path := range paths {
		b, err := look(path)
		if err != nil {
			return nil, err
		}
		found = append(found, b)
	}
	return found, nil
}

var (
	versionNumber = regexp.MustCompile(`v(\d+\.\d+\.\d+)`)
	escapes       = regexp.MustCompile("\x1b\\[[0-9;]*m")
)

func look(path string) (Binary, error) {
	b := Binary{Path: path, Version: filepath.Base(path)}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return b, fmt.Errorf("%s --version: %w", path, err)
	}
	if m := versionNumber.FindSubmatch(out); m != nil {
		b.Version = string(m[1])
	}
	// The exit code of -h is not the same in all versions.
	out, _ = exec.Command(path, "-h").CombinedOutput()
	b.Help = Plain(string(out))
	return b, nil
}

// Has tells whether the help lists a plugin in a section such as "Inputs".
func (b Binary) Has(section, plugin string) bool {
	_, rest, _ := strings.Cut(b.Help, "\n"+section+"\n")
	list, _, _ := strings.Cut(rest, "\n\n")
	for _, line := range strings.Split(list, "\n") {
		if words := strings.Fields(line); len(words) > 0 && words[0] == plugin {
			return true
		}
	}
	return false
}

// Plain is a text of Fluent Bit without its colours.
func Plain(text string) string { return escapes.ReplaceAllString(text, "") }

// Plugin returns the absolute path of a file of the build: in the directory
// FLB_WASMTIME_SO_DIR, or build/ as seen from a package two levels down.
func Plugin(name string) (string, error) {
	dir := os.Getenv("FLB_WASMTIME_SO_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "build")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: run make build, or set FLB_WASMTIME_SO_DIR", err)
	}
	return path, nil
}

// FreePort returns a port of the loopback interface on which nothing listens.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// Buffer is a buffer that a process writes while a test reads it.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

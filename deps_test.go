package main

import (
	"os/exec"
	"strings"
	"testing"
)

// What only the command needs is not in the object that Fluent Bit loads.
func TestPluginDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "/internal/filter\n") {
		t.Fatalf("no list of packages: %.200s", out)
	}
	for _, path := range []string{"dlclark/regexp2", "spf13/", "goccy/go-yaml", "progressbar", "/internal/fbconf", "/internal/command"} {
		if strings.Contains(string(out), path) {
			t.Errorf("the plugin has %s in it", path)
		}
	}
}

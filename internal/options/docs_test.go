package options

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
)

// The configurations in docs/output.md are ones that the output takes.
func TestDocumentedOutputs(t *testing.T) {
	text, err := os.ReadFile("../../docs/output.md")
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, o := range slices.Concat(Table, OutputTable) {
		known = append(known, o.Name)
	}
	core := []string{"name", "match", "workers", "retry_limit"}
	found := 0
	for _, block := range regexp.MustCompile("(?ms)^```(yaml)?\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		path := filepath.Join(t.TempDir(), "fluent-bit."+cmp.Or(block[1], "conf"))
		if err := os.WriteFile(path, []byte(block[2]), 0o600); err != nil {
			t.Fatal(err)
		}
		conf, err := fbconf.Load(path, func(string) string { return "secret" })
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range conf.Kind("output") {
			if s.Name != "wasmtime" {
				continue
			}
			found++
			for _, p := range s.Properties {
				if !slices.Contains(known, p.Key) && !slices.Contains(core, p.Key) {
					t.Errorf("there is no option %s", p.Key)
				}
			}
			if _, err := ParseOutput("documented", docSource(s.Properties)); err != nil {
				t.Error(err)
			}
		}
	}
	if found < 3 {
		t.Errorf("%d outputs found", found)
	}
}

// docs/metrics-traces.md names the options without effect there.
func TestDocumentedPayloads(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics-traces.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range unusedByPayloads {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s is not named", name)
		}
	}
}

func TestParseOutput(t *testing.T) {
	dir := t.TempDir()
	parse := func(values map[string]string) (Output, error) {
		all := map[string]string{"wasm_path": "a", "function_name": "b"}
		for k, v := range values {
			all[k] = v
		}
		return ParseOutput("wasmtime.1", set(all))
	}
	for to, want := range map[string]Output{
		"forward://far:1234":       {To: Forward, Network: "tcp", Address: "far:1234"},
		"forward://far":            {To: Forward, Network: "tcp", Address: "far:24224"},
		"forward://[::1]:5/":       {To: Forward, Network: "tcp", Address: "[::1]:5"},
		"forward+unix:///run/sock": {To: Forward, Network: "unix", Address: "/run/sock"},
		"file://" + dir + "/out":   {To: File, Address: dir + "/out"},
		"stdout":                   {To: Stdout},
	} {
		got, err := parse(map[string]string{"emit_to": to})
		if err != nil || got.To != want.To || got.Network != want.Network || got.Address != want.Address {
			t.Errorf("%s: %v %q %q, %v", to, got.To, got.Network, got.Address, err)
		}
	}
	for _, test := range []map[string]string{
		{},
		{"emit_to": "udp://far:1"},
		{"emit_to": "forward://"},
		{"emit_to": "forward://far:port"},
		{"emit_to": "forward://far:99999"},
		{"emit_to": "forward://far/path"},
		{"emit_to": "forward://user:pw@far"},
		{"emit_to": "forward+unix://far/sock"},
		{"emit_to": "forward+unix:relative"},
		{"emit_to": "file://relative"},
		{"emit_to": "file:///no/such/directory/file"},
		{"emit_to": "file://" + dir},
		{"emit_to": "stdout", "emit_tag": "$"},
		{"emit_to": "stdout", "emit_metadata": "maybe"},
		{"emit_to": "stdout", "emit_format": "xml"},
		{"emit_to": "stdout", "emit_compress": "zip"},
		{"emit_to": "stdout", "emit_connections": "0"},
		{"emit_to": "stdout", "emit_timeout": "0"},
		{"emit_to": "stdout", "engine_timeout": "1h"},
		{"emit_to": "stdout", "retry_cache": "1"},
		{"emit_to": "stdout", "emit_ack": "perhaps"},
		{"emit_to": "forward://far", "emit_username": "u"},
		{"emit_to": "forward://far", "emit_tls_vhost": "v"},
		{"emit_to": "forward://far", "emit_tls": "on", "emit_tls_ca_file": dir + "/none"},
		{"emit_to": "forward://far", "emit_tls": "on", "emit_tls_ca_file": "docs_test.go"},
		{"emit_to": "forward://far", "emit_tls": "on", "emit_tls_crt_file": "docs_test.go"},
		{"emit_to": "forward://far", "emit_tls": "on", "emit_tls_ca_file": "/dev/zero"},
		{"emit_to": "forward://far", "emit_tls": "on", "emit_tls_crt_file": "/dev/zero", "emit_tls_key_file": "/dev/zero"},
		{"emit_to": "stdout", "emit_tls": "on"},
		{"emit_to": "stdout", "emit_shared_key": "k"},
		{"emit_to": "forward+unix:///s", "emit_tls": "on"},
		{"emit_to": "stdout", "timeout": "soon"},
	} {
		if _, err := parse(test); err == nil {
			t.Errorf("%v: no error", test)
		} else if !strings.HasPrefix(err.Error(), "option ") {
			t.Errorf("%v: %v", test, err)
		}
	}
}

func docSource(properties []fbconf.Property) Source {
	var list []Property
	for _, p := range properties {
		list = append(list, Property{p.Key, p.Value})
	}
	return Of(list)
}

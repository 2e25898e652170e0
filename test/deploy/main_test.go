// Package deploy checks what deploy/ holds: that it decodes, strictly, into the types of the APIs
// that it is for, that its pods are as hardened as they say, and that the plugin accepts the
// configurations in it. It is a module of its own, so that nothing of Kubernetes is among what the
// plugin is built of.
//
// FLUENT_BIT names real Fluent Bits, separated by colons, which the configurations are also run in.
package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const (
	deploy  = "../../deploy"
	build   = "../../build"
	guest   = "../../examples/c/bare/redact.wasm"
	modules = "/modules" // of the containers
)

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{deploy}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decode decodes YAML into a value whose type must have all of its fields.
func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
}

var documentEnd = regexp.MustCompile(`(?m)^---\s*$`)

// documents are the objects of a stream, by kind and name.
func documents(t *testing.T, stream []byte) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, text := range documentEnd.Split(string(stream), -1) {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		if object.Kind == "" {
			continue
		}
		key := object.Kind + "/" + object.Metadata.Name
		if found[key] != nil {
			t.Fatalf("%s stands there twice", key)
		}
		found[key] = []byte(text)
	}
	return found
}

// A deployment is what one set of files comes to: a pod, and the configuration in it.
type deployment struct {
	pod    corev1.PodSpec
	config string
	yaml   bool // the form of config
}

func (d deployment) fluentBit(t *testing.T) corev1.Container {
	t.Helper()
	for _, c := range d.pod.Containers {
		if c.Name == "fluent-bit" {
			return c
		}
	}
	t.Fatal("no container is called fluent-bit")
	return corev1.Container{}
}

// option returns the values that an option has in the configuration.
func (d deployment) option(name string) []string {
	var found []string
	for _, m := range regexp.MustCompile(`(?mi)^\s*(?:- )?`+regexp.QuoteMeta(name)+`:?\s+(\S+)$`).FindAllStringSubmatch(d.config, -1) {
		found = append(found, m[1])
	}
	return found
}

// here writes the configuration to a file, with the paths that it has in the container replaced by
// some that are there, and returns its path.
func (d deployment) here(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	wasm, err := os.ReadFile(guest)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range d.option("wasm_path") {
		at := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, wasm, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := d.config
	for _, name := range []string{modules, "/var/lib/fluent-bit", "/fluent-bit/tail"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, " "+name, " "+dir+name)
	}
	// The image has it.
	text = regexp.MustCompile(`(?mi)^\s*parsers_file.*\n`).ReplaceAllString(text, "")
	path := filepath.Join(dir, "fluent-bit.conf")
	if d.yaml {
		path = filepath.Join(dir, "fluent-bit.yaml")
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkConfig asks the command, and real Fluent Bits if there are any, what they say.
func (d deployment) checkConfig(t *testing.T) {
	t.Helper()
	path := d.here(t)
	d.checkCommand(t, path)
	plugin, err := filepath.Abs(filepath.Join(build, "flb-filter_wasmtime.so"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fluentBit := range fluentBits() {
		version, err := exec.Command(fluentBit, "--version").Output()
		if err != nil {
			t.Fatal(err)
		}
		if d.yaml && regexp.MustCompile(`v1\.`).Match(version) {
			continue // which reads no YAML
		}
		if strings.Contains(d.config, "kubernetes") {
			without(t, path, fluentBit, "kubernetes")
		}
		out, err := exec.Command(fluentBit, "--plugin="+plugin, "--config="+path, "--dry-run").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "test is successful") {
			t.Errorf("%s --dry-run: %v\n%s", fluentBit, err, out)
		}
	}
}

// checkCommand asks the command what it says of the configuration, which is at path.
func (d deployment) checkCommand(t *testing.T, path string) {
	t.Helper()
	command := filepath.Join(build, "flb-wasmtime")
	if _, err := os.Stat(command); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	if out, err := exec.Command(command, "check", "--config", path).CombinedOutput(); err != nil {
		t.Errorf("flb-wasmtime check: %v\n%s\n%s", err, out, d.config)
	}
}

// without takes a plugin out of the configuration at path, if a Fluent Bit was built without it.
func without(t *testing.T, path, fluentBit, name string) {
	t.Helper()
	help, err := exec.Command(fluentBit, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?m)^\s+` + name + `\s`).Match(help) {
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The section is what begins with its name and ends with the next one.
	section := regexp.MustCompile(`(?m)^    - name: ` + name + `\n(?:      .*\n)*|(?i)^\[FILTER\]\n\s+name\s+` + name + `\n(?:[ \t]+\S.*\n)*`)
	if err := os.WriteFile(path, section.ReplaceAll(text, nil), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fluentBits are the paths of real ones.
func fluentBits() []string {
	var found []string
	for path := range strings.SplitSeq(os.Getenv("FLUENT_BIT"), ":") {
		if path != "" {
			found = append(found, path)
		}
	}
	return found
}

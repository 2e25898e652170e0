package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
)

// loops is a guest that the watchdog has to end, by its real-time signal.
const loops = `(module (memory (export "memory") 1)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (loop (br 0)) (i32.const 0)))`

// TestRun runs the pods' containers with Fluent Bit in them by runc, as containerd would: with its
// seccomp profile RuntimeDefault, user, capabilities and read-only files of the manifest, and with
// directories in place of volumes. A module is compiled, masks a record, and another is ended.
func TestRun(t *testing.T) {
	binaries := fluentBits()
	_, err := exec.LookPath("runc")
	if len(binaries) == 0 || err != nil || os.Getuid() != 0 {
		t.Skip("NOT RUN: manifests in a real Fluent Bit, which takes root, runc and FLUENT_BIT")
	}
	for _, fluentBit := range binaries {
		version, err := exec.Command(fluentBit, "--version").Output()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(version, []byte("v1.")) {
			continue // which reads no YAML
		}
		for _, name := range append(slices.Clone(ways), "aggregator") {
			number := regexp.MustCompile(`v\d[.\d]*`).Find(version)
			t.Run(fmt.Sprintf("%s/%s", number, name), func(t *testing.T) { kustomized(t, name).run(t, fluentBit) })
		}
	}
}

func (d deployment) run(t *testing.T, fluentBit string) {
	b := d.bundle(t, fluentBit)
	var out buffer
	name := fmt.Sprintf("fluent-bit-%d", os.Getpid())
	cmd := exec.Command("runc", "run", "--bundle", b.dir, name)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		exec.Command("runc", "delete", "--force", name).Run()
		if t.Failed() {
			t.Logf("%s", out.text())
		}
	})
	until := func(what, text string) {
		for deadline := time.Now().Add(time.Minute); !strings.Contains(out.text(), text); {
			select {
			case err := <-ended:
				t.Fatalf("Fluent Bit ended before %s: %v", what, err)
			case <-time.After(20 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				t.Fatalf("not within a minute: %s", what)
			}
		}
	}
	until("the record is masked", `password=***`)
	until("the guest that loops is ended", "took longer than")
	if strings.Contains(out.text(), "hunter2") {
		t.Error("the secret came out")
	}
	for _, probe := range []*corev1.Probe{d.fluentBit(t).StartupProbe, d.fluentBit(t).LivenessProbe, d.fluentBit(t).ReadinessProbe} {
		if reply := ask(t, name, "GET "+probe.HTTPGet.Path, "\n"); !strings.Contains(reply, " 200") {
			t.Errorf("the probe %s: %s", probe.HTTPGet.Path, reply)
		}
	}
	// As the reloader asks.
	if reply := ask(t, name, "POST /api/v2/reload", "}"); !strings.Contains(reply, `"status":0`) {
		t.Errorf("a reload: %s", reply)
	}
	if entries, _ := filepath.Glob(filepath.Join(b.state, "wasmtime", "*")); len(entries) == 0 {
		t.Errorf("nothing was written to cache_dir")
	}
	if err := exec.Command("runc", "kill", name, "TERM").Run(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Fluent Bit ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("Fluent Bit did not end within a minute")
	}
}

// ask sends a request from within a container's network, and returns the reply up to a delimiter:
// the connection stays open.
func ask(t *testing.T, container, request, until string) string {
	t.Helper()
	state, err := exec.Command("runc", "state", container).Output()
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ PID int }
	if err := json.Unmarshal(state, &s); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("nsenter", "--net", "--target", fmt.Sprint(s.PID), "timeout", "30", "bash", "-c",
		`exec 3<>/dev/tcp/127.0.0.1/2020
		printf '%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n' "$0" >&3
		IFS= read -r -d "$1" reply <&3; printf %s "$reply"`, request, until).CombinedOutput()
	if err != nil {
		t.Logf("%s: %v", request, err)
	}
	return string(out)
}

// buffer is written by a process while it is read.
type buffer struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.Write(p)
}

func (b *buffer) text() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.String()
}

// bundle is what runc is given: a directory with config.json, and the state of the container.
type bundle struct{ dir, state string }

func (d deployment) bundle(t *testing.T, fluentBit string) bundle {
	t.Helper()
	c := d.fluentBit(t)
	b := bundle{dir: t.TempDir()}
	// The directory of a test is for its user alone.
	for at := b.dir; strings.HasPrefix(at, os.TempDir()+"/"); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	spec := specs.Spec{
		Version: "1.0.2",
		Root:    &specs.Root{Path: "rootfs", Readonly: *c.SecurityContext.ReadOnlyRootFilesystem},
		Process: &specs.Process{
			Args: append([]string{"/fluent-bit/bin/fluent-bit"}, c.Args...), Cwd: "/",
			Env:             []string{"PATH=/usr/bin"},
			NoNewPrivileges: !*c.SecurityContext.AllowPrivilegeEscalation,
			Capabilities:    &specs.LinuxCapabilities{},
			User:            d.user(c),
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "mount"}, {Type: "ipc"}, {Type: "uts"}, {Type: "network"}}},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}},
		},
	}
	bind := func(from, to string, options ...string) {
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: to, Source: from, Type: "bind", Options: append(options, "rbind")})
	}
	for _, dir := range []string{"/usr", "/lib", "/lib64", "/bin", "/etc"} {
		bind(dir, dir, "ro")
	}
	absolute, err := filepath.Abs(fluentBit)
	if err != nil {
		t.Fatal(err)
	}
	bind(absolute, "/fluent-bit/bin/fluent-bit", "ro")
	for _, m := range c.VolumeMounts {
		mode := "rw"
		if m.ReadOnly {
			mode = "ro"
		}
		bind(d.fill(t, &b, m, fluentBit), m.MountPath, mode)
	}
	limit := c.Resources.Limits.Memory().Value()
	spec.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}
	spec.Linux.Seccomp = seccomp.DefaultProfile(&spec)
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.dir, "config.json"), string(text))
	if err := os.Mkdir(filepath.Join(b.dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

func (d deployment) user(c corev1.Container) (u specs.User) {
	for _, id := range []*int64{d.pod.SecurityContext.RunAsUser, c.SecurityContext.RunAsUser} {
		if id != nil {
			u.UID = uint32(*id)
		}
	}
	for _, id := range []*int64{d.pod.SecurityContext.RunAsGroup, c.SecurityContext.RunAsGroup} {
		if id != nil {
			u.GID = uint32(*id)
		}
	}
	return u
}

// fill makes a directory for a volume, with what the cluster would put there.
func (d deployment) fill(t *testing.T, b *bundle, m corev1.VolumeMount, fluentBit string) string {
	t.Helper()
	at := filepath.Join(b.dir, m.Name)
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	switch m.Name {
	case "config":
		path := filepath.Join(at, "fluent-bit.yaml")
		text := strings.Replace(d.config, "\n  outputs:\n",
			"\n    - name: wasmtime\n      match: '*'\n      wasm_path: /modules/loops.wat\n      function_name: filter\n      timeout: 100ms\n\n  outputs:\n", 1)
		// Nobody sends anything into the container.
		text = regexp.MustCompile(`(?m)^    - name: forward\n(?:      .*\n)*`).
			ReplaceAllString(text, "    - name: dummy\n      dummy: '{\"log\":\"login password=hunter2\"}'\n")
		write(t, path, text)
		without(t, path, fluentBit, "kubernetes")
	case "log":
		write(t, filepath.Join(at, "containers", "pod_default_app-0.log"), "2024-05-14T08:00:00.1Z stdout F login password=hunter2\n")
		// Only new lines are read.
		text := filepath.Join(b.dir, "config", "fluent-bit.yaml")
		config, err := os.ReadFile(text)
		if err != nil {
			t.Fatal(err)
		}
		write(t, text, strings.Replace(string(config), "- name: tail\n", "- name: tail\n      read_from_head: on\n", 1))
	case "plugin":
		object, err := os.ReadFile(filepath.Join(build, "flb-filter_wasmtime.so"))
		if err != nil {
			t.Fatal(err)
		}
		within, err := filepath.Rel(m.MountPath, d.plugin(t, d.fluentBit(t)))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(at, within), string(object))
	case "modules":
		wasm, err := os.ReadFile(guest)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range d.option("wasm_path") {
			write(t, filepath.Join(at, filepath.Base(path)), string(wasm))
		}
		write(t, filepath.Join(at, "loops.wat"), loops)
	case "state":
		b.state = at
		if d.volume(m.Name).EmptyDir != nil { // which is anybody's
			if err := os.Chmod(at, 0o777); err != nil {
				t.Fatal(err)
			}
		}
	default:
		t.Fatalf("what is in volume %s?", m.Name)
	}
	return at
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

const dropIn = "systemd/wasmtime.conf"

// systemd itself reads the unit with the drop-in.
func TestSystemdUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("NOT RUN: systemd's check of the unit, which takes systemd-analyze")
	}
	root := t.TempDir()
	unit := filepath.Join(root, "etc/systemd/system/fluent-bit.service")
	// As the packages of Fluent Bit start it.
	write(t, unit, "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/true -c /etc/fluent-bit/fluent-bit.conf\nRestart=always\n")
	write(t, unit+".d/wasmtime.conf", string(read(t, dropIn)))
	for _, path := range []string{"/bin/true", "/bin/kill"} {
		write(t, filepath.Join(root, path), "")
		if err := os.Chmod(filepath.Join(root, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("systemd-analyze", "verify", "--root="+root, "--man=no", unit).CombinedOutput()
	// It names what it doesn't know, and exits with 0.
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "fluent-bit.service") {
			t.Error(line)
		}
	}
	if err != nil && t.Failed() {
		t.Error(err)
	}
}

// TestSandboxes runs the command, which runs modules as the plugin does, under the system call filters
// of the drop-in and of Kubernetes' RuntimeDefault; and under that of MemoryDenyWriteExecute=yes,
// where it must say what to do.
func TestSandboxes(t *testing.T) {
	for _, program := range []string{"systemd-analyze", "runc"} {
		if _, err := exec.LookPath(program); err != nil || os.Getuid() != 0 {
			t.Skip("NOT RUN: system call filters, which take root, runc and systemd-analyze")
		}
	}
	if out, err := sandboxed(t, nil, "/bin/true"); err != nil {
		t.Skipf("NOT RUN: runc can't run anything here: %s", out)
	}
	run := func(filter *specs.LinuxSeccomp) (string, error) {
		return sandboxed(t, filter, "/bin/sh", "-c",
			`echo '{"log":"password=hunter2"}' | /build/flb-wasmtime run --timeout 100ms --wasm-path /modules/redact.wasm --function-name redact &&
			 echo '{"log":"x"}' | /build/flb-wasmtime run --timeout 100ms --wasm-path /modules/loops.wat --function-name filter`)
	}
	for name, filter := range map[string]*specs.LinuxSeccomp{
		"systemd":        only(specs.LinuxSyscall{Action: specs.ActAllow, Names: systemCalls(t)}),
		"RuntimeDefault": seccomp.DefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}}),
	} {
		t.Run(name, func(t *testing.T) {
			out, err := run(filter)
			if !strings.Contains(out, "password=***") || !strings.Contains(out, "took longer than") {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
	t.Run("MemoryDenyWriteExecute", func(t *testing.T) {
		names := slices.DeleteFunc(systemCalls(t), func(name string) bool { return name == "mprotect" })
		out, err := run(only(
			specs.LinuxSyscall{Action: specs.ActAllow, Names: names},
			// Without PROT_EXEC.
			specs.LinuxSyscall{Action: specs.ActAllow, Names: []string{"mprotect"},
				Args: []specs.LinuxSeccompArg{{Index: 2, Value: 4, ValueTwo: 0, Op: specs.OpMaskedEqual}}},
		))
		if err == nil || !strings.Contains(out, "MemoryDenyWriteExecute=no") {
			t.Errorf("%v:\n%s", err, out)
		}
	})
}

// only is a filter that answers everything else with EPERM.
func only(allowed ...specs.LinuxSyscall) *specs.LinuxSeccomp {
	eperm := uint(1)
	return &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: &eperm,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchAARCH64}, Syscalls: allowed}
}

// systemCalls are those that the drop-in allows.
func systemCalls(t *testing.T) []string {
	t.Helper()
	set := regexp.MustCompile(`(?m)^SystemCallFilter=(@\S+)$`).FindSubmatch(read(t, dropIn))
	if set == nil {
		t.Fatal("no SystemCallFilter")
	}
	// What systemd allows with every list.
	names := expand(t, "@default", nil)
	return expand(t, string(set[1]), names)
}

func expand(t *testing.T, set string, names []string) []string {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "syscall-filter", set).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		switch name := strings.TrimSpace(line); {
		case name == "" || name == set || name[0] == '#':
		case name[0] == '@':
			names = expand(t, name, names)
		default:
			names = append(names, name)
		}
	}
	return names
}

// sandboxed runs a command by runc, with /build and /modules in it; without a filter, all is allowed.
func sandboxed(t *testing.T, filter *specs.LinuxSeccomp, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	wasm, err := os.ReadFile(guest)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "work", "redact.wasm"), string(wasm))
	write(t, filepath.Join(dir, "work", "loops.wat"), loops)
	built, err := filepath.Abs(build)
	if err != nil {
		t.Fatal(err)
	}
	spec := specs.Spec{
		Version: "1.0.2",
		Root:    &specs.Root{Path: "rootfs", Readonly: true},
		Process: &specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/usr/bin"}, NoNewPrivileges: true,
			Capabilities: &specs.LinuxCapabilities{}},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "mount"}, {Type: "ipc"}, {Type: "uts"}, {Type: "network"}},
			Seccomp:    filter,
		},
		Mounts: []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
	}
	for to, from := range map[string]string{"/usr": "/usr", "/lib": "/lib", "/lib64": "/lib64", "/bin": "/bin",
		"/build": built, "/modules": filepath.Join(dir, "work")} {
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: to, Source: from, Type: "bind", Options: []string{"rbind", "ro"}})
	}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "config.json"), string(text))
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	name := "sandbox-" + filepath.Base(filepath.Dir(dir)) + filepath.Base(dir)
	defer exec.Command("runc", "delete", "--force", name).Run()
	out, err := exec.Command("runc", "run", "--bundle", dir, name).CombinedOutput()
	return string(out), err
}

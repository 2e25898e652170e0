package guest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// The version is that of the library which is linked, and the one that was asked for is.
func TestEngineVersion(t *testing.T) {
	if have, asked := len(capi.Targets) > 0, os.Getenv("ENGINE"); asked != "" && have != (asked == "lts") {
		t.Errorf("ENGINE is %s, but wasmtime %s is linked", asked, capi.Version)
	}
	if len(capi.Targets) > 0 {
		lock, err := os.ReadFile("../../engine/Cargo.lock")
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("name = \"wasmtime\"\nversion = %q\n", capi.Version); !strings.Contains(string(lock), want) {
			t.Errorf("capi.Version is %s, which engine/Cargo.lock has not", capi.Version)
		}
		return
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("no build information")
	}
	for _, dep := range info.Deps {
		if strings.HasPrefix(dep.Path, "github.com/bytecodealliance/wasmtime-go") && dep.Version != "v"+capi.Version {
			t.Errorf("capi.Version is %s, but %s is linked", capi.Version, dep.Version)
		}
	}
}

// A version that the code of the linked compiler is not of is noticed.
func TestEngineIsAnother(t *testing.T) {
	engine, err := engineFor(0)
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := wasmtime.Wat2Wasm("(module)")
	if err != nil {
		t.Fatal(err)
	}
	module, err := wasmtime.NewModule(engine, wasm)
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	if err := capi.CheckEngine(module); err != nil {
		t.Error(err)
	}
	right := capi.Version
	defer func() { capi.Version = right }()
	for _, version := range []string{"4.0.0", "440.0.0", "47.0.1"} {
		capi.Version = version
		major, _, _ := strings.Cut(right, ".")
		if err := capi.CheckEngine(module); err == nil || !strings.Contains(err.Error(), "made for wasmtime "+version+", but \""+major+"\" is linked") {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// What is compiled for another machine is for that machine: ELF says so, and this one refuses it.
// For this one it is what the compiler makes here, too.
func TestCompileForAnotherTarget(t *testing.T) {
	machines := map[string]elf.Machine{"x86_64-unknown-linux-gnu": elf.EM_X86_64, "aarch64-unknown-linux-gnu": elf.EM_AARCH64}
	if len(capi.Targets) == 0 {
		for target := range machines {
			_, err := Compile(watFile(t, "wrap"), filepath.Join(t.TempDir(), "x.cwasm"), CompileConfig{Target: target})
			if (err == nil) != (target == hostTarget()) || err != nil && !strings.Contains(err.Error(), "this build compiles for "+hostTarget()) {
				t.Errorf("%s: %v", target, err)
			}
		}
		return
	}
	if len(Targets()) != len(machines) {
		t.Errorf("targets: %q", Targets())
	}
	for target, machine := range machines {
		path, info := compiled(t, "wrap", CompileConfig{Target: target})
		if info.Target != target || len(info.CPU) != 0 {
			t.Errorf("%s: %+v", target, info)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code, err := elf.NewFile(bytes.NewReader(file[bytes.Index(file, []byte("\x7fELF")):]))
		if err != nil {
			t.Fatal(err)
		}
		if code.Machine != machine {
			t.Errorf("%s: code for %s", target, code.Machine)
		}
		m, err := Load(Source{Path: path, AllowPrecompiled: true})
		switch {
		case target != hostTarget() && (err == nil || !strings.Contains(err.Error(), "compiled for "+target+", but this is "+hostTarget())):
			t.Errorf("%s: %v", target, err)
		case target == hostTarget() && err != nil:
			t.Errorf("%s: %v", target, err)
		case err == nil:
			m.Close()
		}
	}
	for _, c := range []struct{ target, cpu, want string }{
		{"aarch64-unknown-linux-gnu", "avx2", "allowed for aarch64-unknown-linux-gnu"},
		{"aarch64-unknown-linux-gnu", "x86-64-v3", "allowed for aarch64-unknown-linux-gnu"},
		{"riscv64gc-unknown-linux-gnu", "", "invalid target"},
		{"aarch64", "", "invalid target"},
	} {
		if _, err := Compile(watFile(t, "wrap"), filepath.Join(t.TempDir(), "x.cwasm"), CompileConfig{Target: c.target, CPU: c.cpu}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	// More than this machine may have.
	if _, err := Compile(watFile(t, "wrap"), filepath.Join(t.TempDir(), "x.cwasm"), CompileConfig{Target: "x86_64-unknown-linux-gnu", CPU: "x86-64-v4"}); err != nil {
		t.Error(err)
	}
}

func watFile(tb testing.TB, guest string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "guest.wat")
	if err := os.WriteFile(path, []byte(guests.WAT(guest)), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// compiled compiles a guest of test/guests and returns the file.
func compiled(tb testing.TB, guest string, config CompileConfig) (path string, info CompileInfo) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "guest.cwasm")
	info, err := Compile(watFile(tb, guest), path, config)
	if err != nil {
		tb.Fatal(err)
	}
	return path, info
}

func TestPrecompiledRuns(t *testing.T) {
	for _, config := range []CompileConfig{{}, {CPU: "baseline"}, {Target: hostTarget()}, {CPU: "native", Target: hostTarget()}} {
		path, info := compiled(t, "wrap", config)
		if stat, err := os.Stat(path); err != nil || stat.Size() != info.FileBytes {
			t.Errorf("%v: file of %v, %v; %+v", config, stat, err, info)
		}
		if (config.CPU == "" && config.Target == "" || config.CPU == "native") != (len(info.CPU) > 0) && len(hostFeatures()) > 0 {
			t.Errorf("%+v: features %v", config, info.CPU)
		}
		if _, err := Load(Source{Path: path}); err == nil || !strings.Contains(err.Error(), "allow_precompiled") {
			t.Errorf("%v: accepted unasked: %v", config, err)
		}
		m, err := Load(Source{Path: path, AllowPrecompiled: true})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		in, err := m.NewInstance(Config{Function: "filter"})
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		var b Batch
		defer b.Close()
		_, got := reply(t, in, &b, []byte(`{"a":1}`), []byte("t"))
		if want := `{"tag":"t","sec":1,"record":{"a":1}}`; string(got) != want {
			t.Errorf("%v: %s, want %s", config, got, want)
		}
	}
}

// What a guest does by traps must work in code that was not compiled here.
func TestPrecompiledTraps(t *testing.T) {
	path, _ := compiled(t, "oob_store", CompileConfig{})
	m, err := Load(Source{Path: path, AllowPrecompiled: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	in, err := m.NewInstance(Config{Function: "filter"})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	b := Batch{In: []byte("{}")}
	defer b.Close()
	b.Add(0, 1, 2)
	if _, err := in.Run(nil, &b, 0, 1); err == nil || !strings.Contains(err.Error(), "out of bounds") {
		t.Error(err)
	}
}

// edit changes the header of a file of compiled code.
func edit(tb testing.TB, file []byte, change func(*header)) []byte {
	tb.Helper()
	n := len(precompiledMagic) + 4
	size := int(binary.LittleEndian.Uint32(file[len(precompiledMagic):]))
	var h header
	if err := json.Unmarshal(file[n:n+size], &h); err != nil {
		tb.Fatal(err)
	}
	change(&h)
	text, err := json.Marshal(h)
	if err != nil {
		tb.Fatal(err)
	}
	out := binary.LittleEndian.AppendUint32([]byte(precompiledMagic), uint32(len(text)))
	return append(append(out, text...), file[n+size:]...)
}

func TestPrecompiledRefused(t *testing.T) {
	path, _ := compiled(t, "identity", CompileConfig{})
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Code of another engine whose header has been made to fit: wasmtime's own
	// check is the last one.
	major, _, _ := strings.Cut(capi.Version, ".")
	target := string(rune(len(hostTarget()))) + hostTarget()
	other := bytes.Replace(good, []byte(major+target), []byte("43"+target), 1)
	for _, test := range []struct {
		name string
		file []byte
		want string
	}{
		{"engine", edit(t, good, func(h *header) { h.Engine = "43.0.1" }), "compiled for wasmtime 43.0.1, but this is " + capi.Version},
		{"target", edit(t, good, func(h *header) { h.Target = "riscv64gc-unknown-linux-gnu" }), "compiled for riscv64gc-unknown-linux-gnu"},
		{"CPU", edit(t, good, func(h *header) { h.CPU = append(h.CPU, "avx4096") }), "a CPU with avx4096, which this one has not"},
		{"code", edit(t, good, func(h *header) { h.Code = hexSum(nil) }), "damaged"},
		{"engine within", edit(t, other, func(h *header) {
			h.Engine, h.Code = capi.Version, hexSum(other[bytes.Index(other, []byte("\x7fELF"))-int(h.Iface):])
		}), "wasmtime can't run its code here"},
		{"no code", edit(t, good[:bytes.Index(good, []byte("\x7fELF"))], func(h *header) {
			h.Code = hexSum(good[bytes.Index(good, []byte("\x7fELF"))-int(h.Iface) : bytes.Index(good, []byte("\x7fELF"))])
		}), "wasmtime can't run its code here"},
		{"interface too long", edit(t, good, func(h *header) { h.Iface = 1 << 40 }), "damaged"},
		{"interface below nothing", edit(t, good, func(h *header) { h.Iface = -1 }), "damaged"},
		{"magic only", []byte(precompiledMagic), "damaged"},
		{"no header", append([]byte(precompiledMagic), 0xff, 0xff, 0xff, 0x7f), "damaged"},
		{"header that is none", append([]byte(precompiledMagic), 2, 0, 0, 0, '[', ']'), "damaged"},
		{"cut", good[:len(good)-1], "damaged"},
		{"longer", append(bytes.Clone(good), 0), "damaged"},
	} {
		if err := os.WriteFile(path, test.file, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(Source{Path: path, AllowPrecompiled: true})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wat := write("good.wat", guests.WAT("identity"))
	done, _ := compiled(t, "identity", CompileConfig{})
	out := filepath.Join(dir, "out.cwasm")
	for _, test := range []struct {
		path   string
		config CompileConfig
		want   string
	}{
		{done, CompileConfig{}, "compiled already"},
		{write("wamr.aot", "\x00aot\x03\x00\x00\x00"), CompileConfig{}, "flb-wasmtime compile makes"},
		{write("bad.wasm", "\x00asm\x01\x00\x00\x00\x63"), CompileConfig{}, "can be compiled"},
		{wat, CompileConfig{Target: "aarch64-apple-darwin"}, "compile on a machine of it"},
		{wat, CompileConfig{CPU: "pentium"}, "not known"},
		{wat, CompileConfig{CPU: "x86-64-v9"}, "not known"},
		{filepath.Join(dir, "none"), CompileConfig{}, "can't read"},
	} {
		if _, err := Compile(test.path, out, test.config); err == nil || !strings.Contains(err.Error(), test.want) && test.config.CPU == "" {
			t.Errorf("%s, %+v: %v, want %q", test.path, test.config, err, test.want)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*cwasm*")); err != nil || len(files) > 0 {
		t.Errorf("%v is left, %v", files, err)
	}
}

func TestWAMRFileIsRecognised(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.aot")
	if err := os.WriteFile(path, []byte("\x00aot\x03\x00\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Source{Path: path, AllowPrecompiled: true}); err == nil || !strings.Contains(err.Error(), "flb-wamrc") {
		t.Error(err)
	}
}

// Whatever the bytes are: no code is run that is not what its header says.
func FuzzDecode(f *testing.F) {
	path, _ := compiled(f, "identity", CompileConfig{})
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(precompiledMagic + "\x02\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, file []byte) {
		h, iface, code, err := decode(file)
		body := slices.Concat(iface, code)
		if err == nil && (h.Code != hexSum(body) || h.Engine != capi.Version || !bytes.HasSuffix(file, body)) {
			t.Errorf("accepted: %+v", h)
		}
	})
}

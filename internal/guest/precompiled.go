package guest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v44"
	"github.com/klauspost/cpuid/v2"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
)

// Compiled code is kept in files: what flb-wasmtime compile writes, and the
// entries of a cache. A file is
//
//	magic, length of the header (4 bytes, little endian), header (JSON), interface, code
//
// The interface is the sections of the module that say what it imports and exports. The code is in wasmtime's own format and runs as it is: what can be told of it is
// that it is whole and for this engine, not that it does no harm.
const precompiledMagic = "\x00flbwasm\x02"

const maxHeaderBytes = 1 << 16

// header says what code is made of, and for what.
type header struct {
	Engine string   `json:"engine"` // version of wasmtime
	Target string   `json:"target"`
	CPU    []string `json:"cpu"`    // features that the code may use, beyond the target's minimum
	Code   string   `json:"code"`   // SHA-256 of interface and code
	Module string   `json:"module"` // SHA-256 of the module
	Bytes  int64    `json:"bytes"`  // size of the module
	Iface  int64    `json:"iface"`  // size of the interface
	Traits traits   `json:"traits"`
}

// targetSuffix follows the architecture in all targets.
const targetSuffix = "-unknown-linux-gnu"

// hostTarget is the target of this program.
func hostTarget() string {
	arch := runtime.GOARCH
	switch arch {
	case "amd64":
		arch = "x86_64"
	case "arm64":
		arch = "aarch64"
	}
	return arch + targetSuffix
}

// Targets are those that this program compiles for.
func Targets() []string {
	targets := []string{hostTarget()}
	for _, arch := range capi.Targets {
		if target := arch + targetSuffix; target != hostTarget() {
			targets = append(targets, target)
		}
	}
	return targets
}

type cpuFeature struct {
	name, flag string // ours, Cranelift's
	id         cpuid.FeatureID
	level      int // N of the x86-64-vN that it belongs to; 0: of none
}

// cpuFeatures are the features of x86-64 that Cranelift knows
// (cranelift/codegen/meta/src/isa/x86.rs, wasmtime 44). A flag that it does not
// know ends the process. For other CPUs only wasmtime's own check is made.
var cpuFeatures = []cpuFeature{
	{"cmpxchg16b", "has_cmpxchg16b", cpuid.CX16, 2},
	{"sse3", "has_sse3", cpuid.SSE3, 2},
	{"ssse3", "has_ssse3", cpuid.SSSE3, 2},
	{"sse41", "has_sse41", cpuid.SSE4, 2},
	{"sse42", "has_sse42", cpuid.SSE42, 2},
	{"popcnt", "has_popcnt", cpuid.POPCNT, 2},
	{"avx", "has_avx", cpuid.AVX, 3},
	{"avx2", "has_avx2", cpuid.AVX2, 3},
	{"bmi1", "has_bmi1", cpuid.BMI1, 3},
	{"bmi2", "has_bmi2", cpuid.BMI2, 3},
	{"fma", "has_fma", cpuid.FMA3, 3},
	{"lzcnt", "has_lzcnt", cpuid.LZCNT, 3},
	{"avx512f", "has_avx512f", cpuid.AVX512F, 4},
	{"avx512dq", "has_avx512dq", cpuid.AVX512DQ, 4},
	{"avx512vl", "has_avx512vl", cpuid.AVX512VL, 4},
	{"avx512bitalg", "has_avx512bitalg", cpuid.AVX512BITALG, 0},
	{"avx512vbmi", "has_avx512vbmi", cpuid.AVX512VBMI, 0},
}

func featureNamed(name string) *cpuFeature {
	i := slices.IndexFunc(cpuFeatures, func(f cpuFeature) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return &cpuFeatures[i]
}

// hostFeatures are the names of this machine's features.
func hostFeatures() []string {
	names := []string{}
	for _, f := range cpuFeatures {
		if cpuid.CPU.Has(f.id) {
			names = append(names, f.name)
		}
	}
	return names
}

// missingFeatures are those of the names that this machine has not.
func missingFeatures(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		f := featureNamed(name)
		return f != nil && cpuid.CPU.Has(f.id)
	})
}

const (
	cpuNative   = "native"
	cpuBaseline = "baseline"
)

// CPUs words what CompileConfig.CPU may be.
const CPUs = "native (this machine), baseline (every CPU of the target), x86-64-v2, x86-64-v3, x86-64-v4, or features such as sse42,avx2,bmi2"

// CompileConfig says what code is made for. The zero value is this machine.
type CompileConfig struct {
	Target string // a triple; "": this machine's
	CPU    string // see CPUs; "": native, or baseline if Target is given
	SHA256 string // that the module's file must have, in hexadecimal; "": any
}

// features are the names of the features that code may use, and whether that is
// all that this machine has.
func (c CompileConfig) features() (names []string, native bool, err error) {
	word, foreign := strings.ToLower(c.CPU), c.Target != "" && c.Target != hostTarget()
	switch {
	case word == cpuNative && foreign:
		return nil, false, fmt.Errorf("invalid CPU %q: it is this machine's, which is none of %s: name what the code may use, or compile there", c.CPU, c.Target)
	case word == cpuNative, word == "" && c.Target == "":
		return hostFeatures(), true, nil
	case word == cpuBaseline, word == "":
		return []string{}, false, nil
	case cmp.Or(c.Target, hostTarget()) != "x86_64"+targetSuffix && foreign:
		return nil, false, fmt.Errorf("invalid CPU %q: allowed for %s is %s", c.CPU, c.Target, cpuBaseline)
	case cmp.Or(c.Target, hostTarget()) != "x86_64"+targetSuffix:
		return nil, false, fmt.Errorf("invalid CPU %q: allowed for %s are %s and %s", c.CPU, hostTarget(), cpuNative, cpuBaseline)
	}
	var level int
	if _, err := fmt.Sscanf(word, "x86-64-v%d", &level); err == nil && level >= 1 && level <= 4 {
		for _, f := range cpuFeatures {
			if f.level > 0 && f.level <= level {
				names = append(names, f.name)
			}
		}
		return names, false, nil
	}
	for name := range strings.SplitSeq(word, ",") {
		name = strings.TrimSpace(name)
		if featureNamed(name) == nil {
			return nil, false, fmt.Errorf("invalid CPU %q: %q is not known; allowed are %s", c.CPU, name, CPUs)
		}
		names = append(names, name)
	}
	return names, false, nil
}

// CompileInfo says what Compile has made.
type CompileInfo struct {
	ModuleBytes, FileBytes int64
	Target                 string
	CPU                    []string // features that the code may use
	EngineVersion          string
	CompileTime            time.Duration
}

// Compile compiles the module at path, binary or text, and writes what
// Source.AllowPrecompiled then accepts to the file out, which is replaced.
func Compile(path, out string, config CompileConfig) (CompileInfo, error) {
	content, err := read(path)
	if err == nil {
		err = checkSum(path, content, config.SHA256)
	}
	if err != nil {
		return CompileInfo{}, err
	}
	if isPrecompiled(content) {
		return CompileInfo{}, fmt.Errorf("%s is compiled already", path)
	}
	wasm, err := toBinary(path, content)
	if err != nil {
		return CompileInfo{}, err
	}
	if config.Target != "" && !slices.Contains(Targets(), config.Target) {
		return CompileInfo{}, fmt.Errorf("invalid target %q: this build compiles for %s; for another target compile on a machine of it, or give the .wasm and a cache_dir there",
			config.Target, strings.Join(Targets(), " and "))
	}
	features, native, err := config.features()
	if err != nil {
		return CompileInfo{}, err
	}
	if missing := missingFeatures(features); len(missing) > 0 && len(capi.Targets) == 0 {
		return CompileInfo{}, fmt.Errorf("this machine has no %s: this build makes code only for what the compiling machine has", strings.Join(missing, ", "))
	}

	engine, err := engineFor(0)
	if err != nil {
		return CompileInfo{}, err
	}
	target := cmp.Or(config.Target, hostTarget())
	if !native {
		c := engineConfig(minStackBytes, true)
		if err := c.SetTarget(target); err != nil {
			return CompileInfo{}, err
		}
		for _, name := range features {
			c.EnableCraneliftFlag(featureNamed(name).flag)
		}
		engine = wasmtime.NewEngineWithConfig(c)
		defer engine.Close()
	}
	start := time.Now()
	code, err := compileFor(engine, wasm, native)
	if err != nil {
		return CompileInfo{}, notCompiled(path, notExecutable(err))
	}
	info := CompileInfo{
		ModuleBytes: int64(len(wasm)), Target: target, CPU: features,
		EngineVersion: capi.Version, CompileTime: time.Since(start),
	}
	file, err := encode(code, wasm, target, features)
	if err != nil {
		return CompileInfo{}, err
	}
	info.FileBytes = int64(len(file))
	return info, regular.Replace(out, file)
}

// compileFor returns the machine code of a module, in wasmtime's format, for the engine's target.
func compileFor(engine *wasmtime.Engine, wasm []byte, native bool) (code []byte, err error) {
	var module *wasmtime.Module
	switch {
	case native:
		module, err = compile(engine, Source{}, wasm)
	case len(capi.Targets) > 0:
		return capi.Precompile(engine, wasm)
	default:
		module, err = wasmtime.NewModule(engine, wasm)
	}
	if err != nil {
		return nil, err
	}
	defer module.Close()
	return module.Serialize()
}

func isPrecompiled(content []byte) bool { return bytes.HasPrefix(content, []byte(precompiledMagic)) }

// encode makes the content of a file of compiled code.
func encode(code, wasm []byte, target string, features []string) ([]byte, error) {
	iface, err := interfaceSections(wasm)
	if err != nil {
		return nil, err
	}
	body := slices.Concat(iface, code)
	h, err := json.Marshal(header{
		Engine: capi.Version,
		Target: target,
		CPU:    features,
		Code:   hexSum(body),
		Module: hexSum(wasm),
		Bytes:  int64(len(wasm)),
		Iface:  int64(len(iface)),
		Traits: traitsOf(wasm),
	})
	if err != nil {
		return nil, err
	}
	file := binary.LittleEndian.AppendUint32([]byte(precompiledMagic), uint32(len(h)))
	return slices.Concat(file, h, body), nil
}

var errDamaged = errors.New("the file is damaged")

// parsePrecompiled takes a file of compiled code apart: its header, and interface and code behind it.
func parsePrecompiled(file []byte) (h header, body []byte, err error) {
	rest, ok := bytes.CutPrefix(file, []byte(precompiledMagic))
	if !ok || len(rest) < 4 {
		return h, nil, errDamaged
	}
	n := binary.LittleEndian.Uint32(rest)
	rest = rest[4:]
	if n > maxHeaderBytes || uint64(n) > uint64(len(rest)) || json.Unmarshal(rest[:n], &h) != nil {
		return h, nil, errDamaged
	}
	body = rest[n:]
	if h.Iface < 0 || h.Iface > int64(len(body)) {
		return h, nil, errDamaged
	}
	return h, body, nil
}

// decode is parsePrecompiled for code that is to run. Errors say why it can't be run here, worded
// after the name of the file.
func decode(file []byte) (h header, iface, code []byte, err error) {
	h, body, err := parsePrecompiled(file)
	if err != nil {
		return h, nil, nil, err
	}
	switch missing := missingFeatures(h.CPU); {
	case h.Engine != capi.Version:
		return h, nil, nil, fmt.Errorf("it is compiled for wasmtime %s, but this is %s: compile the .wasm again with the flb-wasmtime that belongs to this plugin", h.Engine, capi.Version)
	case h.Target != hostTarget():
		return h, nil, nil, fmt.Errorf("it is compiled for %s, but this is %s: compile the .wasm on such a machine, or with --target %[2]s", h.Target, hostTarget())
	case len(missing) > 0:
		return h, nil, nil, fmt.Errorf("it is compiled for a CPU with %s, which this one has not: compile the .wasm on this machine, or with --cpu baseline", strings.Join(missing, ", "))
	case hexSum(body) != h.Code:
		return h, nil, nil, errDamaged
	}
	return h, body[:h.Iface], body[h.Iface:], nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// deserialize makes a module of a file of compiled code. iface is part of the file.
func deserialize(engine *wasmtime.Engine, file []byte) (h header, module *wasmtime.Module, iface []byte, err error) {
	h, iface, code, err := decode(file)
	if err != nil {
		return h, nil, nil, err
	}
	module, err = wasmtime.NewModuleDeserialize(engine, code)
	if err = notExecutable(err); errors.Is(err, errNotExecutable) {
		return h, nil, nil, err
	}
	if err != nil {
		return h, nil, nil, fmt.Errorf("wasmtime can't run its code here (%s): compile the .wasm on this machine", reason(err.Error()))
	}
	return h, module, iface, nil
}

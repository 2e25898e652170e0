package guest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostcall"
)

// Description is what the bytes of a module tell: nothing of it is compiled or run, so that it may
// come from anybody. What it says itself, in About and Producers, is nobody's word but its own.
type Description struct {
	SHA256    string            `json:"sha256"` // of the file
	Bytes     int64             `json:"bytes"`  // of the file
	Compiled  *CompiledFor      `json:"compiled,omitempty"`
	ABI       string            `json:"abi"` // see the constants
	Functions []string          `json:"functions"`
	Exports   []string          `json:"exports"`
	Imports   []string          `json:"imports"`
	Needs     []string          `json:"needs"` // options without which it does not start
	Uses      []string          `json:"uses"`  // options that mean something to it
	About     map[string]string `json:"about,omitempty"`
	Producers []Producer        `json:"producers,omitempty"`
	Problems  []string          `json:"problems,omitempty"`
	Notes     []string          `json:"notes,omitempty"`
}

// What Description.ABI may be.
const (
	ABIBatch  = "flb_batch_1" // batches, version 1
	ABIFilter = "flb_filter"  // the function of Fluent Bit's own wasm filter
	ABINone   = "none"
)

// CompiledFor says what a file of compiled code was made of, and for what.
type CompiledFor struct {
	Engine string   `json:"engine"` // version of wasmtime
	Target string   `json:"target"`
	CPU    []string `json:"cpu"`
	Module string   `json:"module"` // SHA-256 of the binary module
}

// MaxModuleBytes bounds a module's file.
const MaxModuleBytes = maxModuleBytes

// Describe looks at the content of a module's file, whose name is for messages. An error means that
// it is not a module.
func Describe(path string, content []byte) (Description, error) {
	d := Description{SHA256: hexSum(content), Bytes: int64(len(content))}
	var wasm []byte
	var err error
	if isPrecompiled(content) {
		h, body, err := parsePrecompiled(content)
		if err != nil {
			return d, fmt.Errorf("%s: %w", path, err)
		}
		d.Compiled = &CompiledFor{Engine: h.Engine, Target: h.Target, CPU: h.CPU, Module: h.Module}
		wasm = body[:h.Iface]
		d.Notes = append(d.Notes, "it is machine code, which runs without a check; what the module says of itself is not kept in it")
	} else {
		if wasm, err = toBinary(path, content); err != nil {
			return d, err
		}
		if err := validate(path, wasm); err != nil {
			return d, err
		}
	}
	m := &Module{}
	if m.moduleInterface, err = readInterface(wasm); err != nil {
		return d, fmt.Errorf("%s is not a module: %w", path, err)
	}
	d.describe(m)
	var ignored int
	d.About, ignored = readAbout(wasm)
	d.Producers = readProducers(wasm)
	if ignored > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d lines of the section %s are left out: they are not KEY=VALUE, or too many", ignored, aboutSection))
	}
	if says := d.About["abi"]; says != "" && says != d.ABI {
		d.Notes = append(d.Notes, fmt.Sprintf("it says that its ABI is %s, and its exports say %s", says, d.ABI))
	}
	return d, nil
}

// validate says why wasmtime would refuse a binary module, without compiling it.
func validate(path string, wasm []byte) error {
	engine, err := engineFor(0)
	if err != nil {
		return err
	}
	if err := wasmtime.ModuleValidate(engine, wasm); err != nil {
		return notCompiled(path, err)
	}
	return nil
}

func (d *Description) describe(m *Module) {
	candidates := m.Candidates()
	switch {
	case len(candidates) == 0:
		d.ABI = ABINone
		d.Problems = append(d.Problems, m.functionHint())
	case m.IsBatch():
		d.ABI = ABIBatch
	default:
		d.ABI = ABIFilter
	}
	d.Problems = append(d.Problems, m.batchProblems()...)
	d.Functions = append([]string{}, listed(candidates, func(name string) string { return m.export(name).quoted() })...)
	d.Exports = append([]string{}, listed(m.exports, item.quoted)...)
	d.Imports = append([]string{}, listed(m.imports, item.quoted)...)
	d.Needs, d.Uses = []string{}, []string{}
	add := func(list *[]string, option string) {
		if option != "" && !slices.Contains(*list, option) {
			*list = append(*list, option)
		}
	}
	unknown := 0
	for _, i := range m.imports {
		if i.provider() == nil {
			if unknown++; unknown <= maxUnknown {
				d.Problems = append(d.Problems, fmt.Sprintf("the host has no %s: %s", i.quoted(), importHint(i)))
			}
			continue
		}
		if g := grantFor(i); g != nil {
			add(&d.Needs, g.option)
		}
		add(&d.Uses, usedOption(i))
	}
	if unknown > maxUnknown {
		d.Problems = append(d.Problems, fmt.Sprintf("the host has not %d more", unknown-maxUnknown))
	}
}

// maxUnknown is how many imports are named that the host has not.
const maxUnknown = 10

// usedOption is the option that gives something to the function of an import; "": there is none.
func usedOption(i item) string {
	switch {
	case i.module == hostcall.Host && strings.HasPrefix(i.name, "config_"):
		return "config.KEY"
	case i.module != hostcall.WASI && i.module != hostcall.WASIUnstable:
		return ""
	case i.name == "path_open":
		return "accessible_paths"
	case i.name == "environ_get":
		return "env"
	}
	return ""
}

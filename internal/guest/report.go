package guest

import (
	"fmt"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// Report is what a look at a module finds, before anything of it runs.
type Report struct {
	Path       string
	SizeBytes  int64  // of the binary module
	Origin     string // how its machine code was come by, in words
	LoadTime   time.Duration
	Exports    []string // "name: type", in the module's order
	Imports    []string // "module.name: type"
	Function   string   // the function that was asked for; "" for none
	Candidates []string // exported functions that could be asked for
	Allocator  string   // how input reaches the guest, in words
	Init       string   // what is called once before the first record, in words
	Warnings   []string
	Problems   []string // why the plugin refuses the module; empty if it does not
}

// Inspect loads a module and says what the plugin would say at start. With
// config.Function == "" the filter function is not judged. An error means that
// there is no module to speak of.
func Inspect(source Source, config Config) (Report, error) {
	m, err := Load(source)
	if err != nil {
		return Report{}, err
	}
	defer m.Close()
	r := Report{
		Path:       source.Path,
		SizeBytes:  m.sizeBytes,
		Origin:     m.origin,
		LoadTime:   m.loadTime,
		Exports:    itemStrings(m.exports),
		Imports:    itemStrings(m.imports),
		Function:   config.Function,
		Candidates: m.Candidates(),
		Warnings:   m.Warnings(config),
	}
	if config.Function == "" && len(r.Candidates) > 0 {
		config.Function = r.Candidates[0]
	}
	p := m.plan(config)
	r.Allocator, r.Init, r.Problems = p.allocatorText(), p.initText(), p.problems
	if len(r.Problems) > 0 {
		return r, nil
	}

	// What is left can only be known by trying: start functions, _initialize.
	instance, err := m.NewInstance(config)
	if err != nil {
		r.Problems = append(r.Problems, fmt.Sprintf("it does not start: %v", err))
		return r, nil
	}
	defer instance.Close()
	if n := instance.stackBehindData(); n > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the module's own stack has %d bytes behind its data: if it needs more, it writes over the data, which nothing notices (the built-in filter does); link it with -Wl,--stack-first, then an overflow is a trap, and with -Wl,-z,stack-size=BYTES for more", n))
	}
	return r, nil
}

// stackBehindData is the size of the stack that wasm-ld has put between data and heap; 0 if
// it has not, or if nothing tells. The two symbols are those by which WAMR knows, too
// (core/iwasm/interpreter/wasm_loader.c, 2.4.1).
func (in *Instance) stackBehindData() int64 {
	dataEnd, ok := in.exportedConstant("__data_end")
	heapBase, ok2 := in.exportedConstant("__heap_base")
	const alignment = 16
	if !ok || !ok2 || heapBase-dataEnd <= alignment {
		return 0
	}
	return heapBase - dataEnd
}

// exportedConstant answers an address that the module exports.
func (in *Instance) exportedConstant(name string) (int64, bool) {
	export := in.made.GetExport(in.store, name)
	if export == nil || export.Global() == nil {
		return 0, false
	}
	value := export.Global().Get(in.store)
	if value.Kind() != wasmtime.KindI32 {
		return 0, false
	}
	return int64(uint32(value.I32())), true
}

func itemStrings(items []item) []string {
	list := make([]string, len(items))
	for i, it := range items {
		list[i] = it.String()
	}
	return list
}

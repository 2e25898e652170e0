package guest

import (
	"fmt"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// Report is what a look at a module finds, before anything of it runs.
type Report struct {
	Path       string
	SizeBytes  int64  // of the binary module
	Origin     string // how its machine code was come by, in words
	LoadTime   time.Duration
	Exports    []string       // "name: type", in the module's order; of many the first, and a count
	Imports    []string       // "module.name: type", likewise
	Function   string         // "name: type" of the function that was asked for; "" for none
	Candidates []string       // exported functions that could be asked for, as Exports
	Signal     options.Signal // what the module is to be called for
	Batch      bool           // the module asks for the batch ABI
	Callable   bool           // the function, or a candidate if none was asked for, fits the ABI
	Allocator  string         // how input reaches the guest, in words
	Init       string         // what is called once before the first record, in words
	Warnings   []string
	Problems   []string // why the plugin refuses the module; empty if it does not
}

// Inspect loads a module and says what the plugin would say at start. With
// config.Function == "" the filter function is not judged. An error means that
// there is no module.
func Inspect(source Source, config Config) (Report, error) {
	var warnings []string
	source.Warn = func(line string) { warnings = append(warnings, line) }
	m, err := Load(source)
	if err != nil {
		return Report{}, err
	}
	defer m.Close()
	r := Report{
		Path:      source.Path,
		SizeBytes: m.sizeBytes,
		Origin:    m.origin.text(),
		LoadTime:  m.loadTime,
		Signal:    config.Signal,
		Batch:     m.IsBatch(),
		Exports:   listed(m.exports, item.quoted),
		Imports:   listed(m.imports, item.quoted),
		Warnings:  append(warnings, m.Warnings(config)...),
	}
	candidates := m.Candidates()
	r.Candidates = listed(candidates, func(name string) string { return m.export(name).quoted() })
	switch e := m.export(config.Called()); {
	case config.Signal != options.Logs:
		if e != nil {
			r.Function, r.Callable = e.quoted(), m.exportsFunc(e.name, batchSignature)
		}
	case e != nil:
		r.Function, r.Callable = e.quoted(), m.exportsFunc(e.name, m.signature())
	case config.Function != "":
		r.Function = hostlog.Name(config.Function) + ": not exported"
	case len(candidates) > 0:
		config.Function, r.Callable = candidates[0], true
	}
	a := m.abi(config)
	r.Allocator, r.Init, r.Problems = a.allocatorText(), a.initText(), a.problems
	if len(r.Problems) > 0 || config.TablesFail {
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

// maxListed bounds the lists of a report.
const maxListed = 1000

func listed[T any](items []T, text func(T) string) []string {
	var list []string
	for _, it := range items[:min(len(items), maxListed)] {
		list = append(list, text(it))
	}
	if more := len(items) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return list
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

// exportedConstant returns an address that the module exports.
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

package main

// #include "plugin.h"
import "C"

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// filterInstance is a filter instance of the host with its guest. One thread at a
// time runs it (stack.c).
type filterInstance struct {
	filter   *filter.Filter
	exporter exporter
	errorLog func(line string)
}

// logError logs an error; of no instance, to stderr.
func (h *filterInstance) logError(line string) {
	if h == nil {
		logToStderr(line)
		return
	}
	h.errorLog(line)
}

func init() { hostlog.Stray = logToStderr }

// logToStderr is for errors of no instance whose name a line could have.
func logToStderr(line string) {
	if bool(C.border_is_standard(2)) {
		fmt.Fprintln(os.Stderr, "[wasmtime]", hostlog.Line(line))
	}
}

// getter returns how the first value of an instance's property is looked up.
func getter(inst *C.struct_instance) func(name *C.char) *C.char {
	return func(name *C.char) *C.char { return C.border_property(inst, name) }
}

// parse reads the instance's properties.
func parse(inst *C.struct_instance) (options.Options, error) {
	get := getter(inst)
	source, all := properties(inst.ins, get)
	parse := options.Parse
	if bool(inst.processor) {
		parse = func(s options.Source) (options.Options, error) {
			return options.ParseSignal(s, options.Signal(inst.signal))
		}
	}
	o, err := parse(source)
	o.LogLevel = int(hostlog.LevelOf(int(inst.log_level)))
	if !all {
		o.Warnings = append(o.Warnings, firstValuesOnly)
	}
	return o, err
}

// check says what keeps the instance from starting. Before a reload that is also what on_start_error lets
// pass at a start: the pipeline that runs is better than one without the module.
func check(inst *C.struct_instance) error {
	if !isActive(inst) {
		return nil
	}
	o, err := parse(inst)
	if err != nil {
		return err
	}
	setEmission(inst, o)
	if err := checkEmitterName(inst, o); err != nil {
		return err
	}
	guest.WrapHostSignals()
	err = filter.Check(o)
	if filter.IsStartError(err) && o.OnStartError == options.StartWithout && !bool(inst.reloads) {
		logLine(inst, hostlog.Warn, err.Error())
		return nil
	}
	return err
}

// newFilterInstance reads the instance's properties and starts its guest.
func newFilterInstance(inst *C.struct_instance) (*filterInstance, error) {
	o, err := parse(inst)
	if err != nil {
		return nil, err
	}
	guest.WrapHostSignals()
	f, err := filter.New(o, func(level hostlog.Level, line string) { logLine(inst, level, line) })
	if err != nil {
		return nil, err
	}
	setEmission(inst, o)
	// A module that takes the place of this one may be the one that wants to be ticked.
	if f.Ticks() || o.ReloadModule || o.OnStartError == options.StartWithout {
		inst.emits.tick_ns = C.int64_t(o.TickInterval)
	}
	inst.lane = (*C.flbwt_lane)(f.Lane())
	inst.stack_bytes = C.size_t(guest.StackBytes(o.WasmStackBytes))
	return &filterInstance{filter: f, exporter: exporter{instance: C.GoString(C.border_name(inst))}, errorLog: errorLog(inst)}, nil
}

var onBusy = [...]C.enum_on_busy{
	options.KeepBusy:  C.ON_BUSY_KEEP,
	options.DropBusy:  C.ON_BUSY_DROP,
	options.BlockBusy: C.ON_BUSY_BLOCK,
}

// setEmission tells the border what the options say of events under other tags.
func setEmission(inst *C.struct_instance, o options.Options) {
	if !o.Emits() {
		return
	}
	inst.emits = C.struct_emission_options{
		wanted:     true,
		on_busy:    onBusy[o.EmitOnBusy],
		block_ns:   C.int64_t(o.EmitBlockTime),
		name:       C.CString(emitterName(inst, o)), // which the border frees
		filesystem: C.bool(o.EmitterFilesystem),
		limit:      C.int64_t(o.EmitterMemLimitBytes),
	}
}

func emitterName(inst *C.struct_instance, o options.Options) string {
	return options.NameOfEmitter(o.EmitterName, C.GoString(C.border_name(inst)))
}

// checkEmitterName refuses the name of an emitter that a filter before this one in the pipeline will have made by
// the time that this one starts, and before a reload has not yet: the start would find it too late.
func checkEmitterName(inst *C.struct_instance, o options.Options) error {
	if !o.Emits() {
		return nil
	}
	name := emitterName(inst, o)
	before := make([]unsafe.Pointer, max(0, C.border_filters_before(inst, nil, 0)))
	C.border_filters_before(inst, unsafe.SliceData(before), C.size_t(len(before)))
	for _, ins := range before {
		other := &C.struct_instance{ins: ins}
		if emitterOf(other) == name {
			return fmt.Errorf("option emitter_name: filter %s, which comes before, has an emitter %s already: set emitter_name to another name",
				hostlog.Name(C.GoString(C.border_name(other))), hostlog.Name(name))
		}
	}
	return nil
}

// emitterOf returns the name of the emitter that a filter of the host makes, "" if it makes none. It may be another
// plugin's: rewrite_tag, multiline, unless its buffer is off, and log_to_metrics have an option of the same name.
func emitterOf(inst *C.struct_instance) string {
	if !isActive(inst) {
		return ""
	}
	o, err := parse(inst)
	switch {
	case err != nil && options.IsOff(property(inst, "buffer")):
		return ""
	case err != nil:
		return property(inst, "emitter_name")
	case o.Emits():
		return emitterName(inst, o)
	}
	return ""
}

// isActive says whether the host starts a filter; of an option that is set several times it takes the first value.
// Before a reload the host asks for those that are not active, too.
func isActive(inst *C.struct_instance) bool { return options.IsActive(property(inst, "active")) }

// property returns the first value of an instance's property, "" if there is none.
func property(inst *C.struct_instance, name string) string {
	return C.GoString(first(getter(inst), name))
}

// first looks up the first value of a property; nil: it is not set.
func first(get func(name *C.char) *C.char, name string) *C.char {
	key := append([]byte(name), 0)
	return get((*C.char)(unsafe.Pointer(&key[0])))
}

// firstValuesOnly is what the user should know if properties does not return all.
const firstValuesOnly = "the options of this Fluent Bit can't be listed: config.KEY is not read, and of an option that is set several times the first value is taken"

// properties returns what the user set for an instance of the host, in which get looks up the first
// value of a property, and whether that is all.
func properties(instance unsafe.Pointer, get func(name *C.char) *C.char) (source options.Source, all bool) {
	path := first(get, "wasm_path")
	found := make([]C.struct_border_property, max(0, C.border_properties(instance, path, nil, 0)))
	n := C.border_properties(instance, path, unsafe.SliceData(found), C.size_t(len(found)))
	if n < 0 || int(n) != len(found) {
		return options.From(func(name string) (string, bool) {
			value := first(get, name)
			return C.GoString(value), value != nil
		}), path == nil
	}
	list := make([]options.Property, n)
	for i := range list {
		list[i] = options.Property{Key: C.GoString(found[i].key), Value: C.GoString(found[i].value)}
	}
	return options.Of(list), true
}

// logLine hands a line to the border, which writes it to Fluent Bit's log with
// the instance's name. No line leaves here that is more than one, or not printable.
func logLine(inst *C.struct_instance, level hostlog.Level, line string) {
	line = hostlog.Line(line)
	C.border_log(inst, C.int(level), (*C.char)(unsafe.Pointer(unsafe.StringData(line))), C.size_t(len(line)))
}

// errorLog returns the function that logs an instance's errors.
func errorLog(inst *C.struct_instance) func(string) {
	return func(line string) { logLine(inst, hostlog.Error, line) }
}

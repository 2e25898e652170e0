package guest

import (
	"fmt"
	"time"
)

// Report is what a look at a module finds, before anything of it runs.
type Report struct {
	Path        string
	SizeBytes   int64 // of the binary module
	CompileTime time.Duration
	Exports     []string // "name: type", in the module's order
	Imports     []string // "module.name: type"
	Function    string   // the function that was asked for; "" for none
	Candidates  []string // exported functions that could be asked for
	Allocator   string   // how input reaches the guest, in words
	Init        string   // what is called once after instantiation, in words
	Warnings    []string
	Problems    []string // why the plugin refuses the module; empty if it does not
}

// Inspect compiles the module at path and says what the plugin would say at
// start. With function == "" the filter function is not judged. An error means
// that there is no module to speak of.
func Inspect(path, function string) (Report, error) {
	m, err := Load(path, 0)
	if err != nil {
		return Report{}, err
	}
	defer m.Close()
	r := Report{
		Path:        path,
		SizeBytes:   m.sizeBytes,
		CompileTime: m.compileTime,
		Exports:     itemStrings(m.exports),
		Imports:     itemStrings(m.imports),
		Function:    function,
		Candidates:  m.candidates(),
		Allocator:   m.allocator.String(),
		Init:        "nothing",
		Warnings:    m.Warnings(),
	}
	if m.initialize {
		r.Init = "_initialize"
	}
	if function == "" && len(r.Candidates) > 0 {
		function = r.Candidates[0]
	}
	r.Problems = m.problems(function)
	if len(r.Problems) > 0 {
		return r, nil
	}

	// What is left can only be known by trying: start functions, _initialize.
	instance, err := m.NewInstance(Config{Function: function})
	if err != nil {
		r.Problems = append(r.Problems, fmt.Sprintf("it does not start: %v", err))
		return r, nil
	}
	instance.Close()
	return r, nil
}

func itemStrings(items []item) []string {
	list := make([]string, len(items))
	for i, it := range items {
		list[i] = it.String()
	}
	return list
}

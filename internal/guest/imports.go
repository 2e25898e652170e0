package guest

import (
	"slices"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostcall"
)

// provider returns the function that an import is given, nil if the host has none of its
// name and type.
func (i item) provider() *hostcall.Function { return hostcall.Find(i.module, i.name, i.typ) }

// providedTypes returns the types that the import may have, none if the host does not
// have its name.
func (i item) providedTypes() []string { return hostcall.Types(i.module, i.name) }

// importsHeap says whether the module has blocks of the host's heap in its memory.
func (m *Module) importsHeap() bool {
	return slices.ContainsFunc(m.imports, func(i item) bool {
		f := i.provider()
		return f != nil && f.UsesHeap()
	})
}

// importsRecord says whether the module imports functions that know its current record.
func (m *Module) importsRecord() bool {
	return slices.ContainsFunc(m.imports, func(i item) bool {
		f := i.provider()
		return f != nil && f.UsesRecord()
	})
}

func (m *Module) importsWASI() bool {
	return slices.ContainsFunc(m.imports, func(i item) bool {
		return i.module == hostcall.WASI || i.module == hostcall.WASIUnstable
	})
}

// linker returns what the module's imports are taken from; the caller closes it.
func (in *Instance) linker(m *Module) (*wasmtime.Linker, error) {
	linker := wasmtime.NewLinker(m.engine)
	linker.AllowShadowing(true) // a module may import a function twice
	for _, i := range m.imports {
		f := i.provider()
		if f == nil {
			continue // it is missed when the module is instantiated
		}
		if err := f.Define(linker, i.typ, unsafe.Pointer(&in.c.instance)); err != nil {
			linker.Close()
			return nil, err
		}
	}
	return linker, nil
}

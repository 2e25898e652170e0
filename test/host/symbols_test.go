package host

import (
	"debug/elf"
	"path/filepath"
	"slices"
	"testing"
)

// exports is what Fluent Bit looks up. Everything else that the library exported would be
// bound to the host's symbol of the same name, data even under -Bsymbolic-functions.
var exports = []string{
	"FLBPluginExit", "FLBPluginExitCtx", "FLBPluginFlushCtx", "FLBPluginInit", "FLBPluginRegister",
	"filter_wasm_plugin", "filter_wasmtime_plugin",
}

// importedData is the data that the library shares with the C library.
var importedData = []string{"__environ", "environ", "stderr", "stdout"}

func TestSymbols(t *testing.T) {
	file, err := elf.Open(filepath.Join(objectDir, filterWasmtime))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		// Kernels of arm64 have pages of up to 64 KiB.
		if p.Type == elf.PT_LOAD && file.Machine == elf.EM_AARCH64 && p.Align < 64<<10 {
			t.Errorf("a segment is aligned to %d bytes", p.Align)
		}
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var exported []string
	for _, s := range symbols {
		isData := elf.ST_TYPE(s.Info) == elf.STT_OBJECT || elf.ST_TYPE(s.Info) == elf.STT_TLS
		switch {
		case s.Section == elf.SHN_UNDEF:
			if isData && !slices.Contains(importedData, s.Name) {
				t.Errorf("imported data %s: the host may define it", s.Name)
			}
			continue
		case isData && elf.ST_VISIBILITY(s.Other) != elf.STV_PROTECTED:
			t.Errorf("exported data %s can be bound to the host's", s.Name)
		}
		exported = append(exported, s.Name)
	}
	slices.Sort(exported)
	if !slices.Equal(exported, exports) {
		t.Errorf("exported are %q, want %q", exported, exports)
	}
}

package guest

import (
	"bytes"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// Origin says how the code of a module was come by.
type Origin int

// The origins.
const (
	Compiled Origin = iota
	CompiledQuickly
	Cached      // taken from the cache
	Precompiled // the file holds it
	NumOrigins
)

// String is a word for it.
func (o Origin) String() string {
	return [NumOrigins]string{"compiled", "compiled_quickly", "cache", "precompiled"}[o]
}

// text says in the log how it was come by.
func (o Origin) text() string {
	return [NumOrigins]string{"compiled", "compiled quickly", "taken from the cache", "precompiled, loaded"}[o]
}

// Identity says which module runs.
type Identity struct {
	Hash     string // SHA-256 of the file, in hexadecimal digits
	Version  string // what the module says it is; "": it does not say
	ABI      string
	Engine   string
	Origin   Origin
	LoadTime time.Duration
}

// What Identity.ABI may be.
const (
	abiBatch  = batchMarker
	abiFilter = "flb_filter" // one record a call
)

// Identity says which module this is.
func (m *Module) Identity() Identity {
	id := Identity{Hash: m.Hash(), Version: m.version, ABI: abiFilter, Engine: "wasmtime " + capi.Version, Origin: m.origin, LoadTime: m.loadTime}
	if m.IsBatch() {
		id.ABI = abiBatch
	}
	return id
}

// aboutModule is the custom section in which a module says what it is: lines KEY=VALUE.
const aboutModule = "flb_module"

// maxVersionBytes bounds what is taken of the version that a module says it has.
const maxVersionBytes = 64

// versionIn returns the version of a module by its own words, "" if it has none that can be printed.
func versionIn(wasm []byte) (version string) {
	_ = sections(wasm, func(id byte, _, content []byte) error { // wasmtime says what is wrong with them
		r := wasmReader{rest: content}
		if id != sectionCustom || r.name() != aboutModule || r.failed {
			return nil
		}
		for line := range bytes.Lines(r.rest) {
			value, ok := bytes.CutPrefix(bytes.TrimRight(line, "\r\n\x00"), []byte("version="))
			if ok && len(value) <= maxVersionBytes && hostlog.Line(string(value)) == string(value) {
				version = string(value)
			}
		}
		return nil
	})
	return version
}

package guest

import (
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
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
	ABI      string // as Description.ABI
	Engine   string
	Origin   Origin
	LoadTime time.Duration
}

// Identity says which module this is.
func (m *Module) Identity() Identity {
	id := Identity{Hash: m.Hash(), Version: m.version, ABI: ABIFilter, Engine: "wasmtime " + capi.Version, Origin: m.origin, LoadTime: m.loadTime}
	if m.IsBatch() {
		id.ABI = ABIBatch
	}
	return id
}

// maxVersionBytes bounds what is taken of the version that a module says it has.
const maxVersionBytes = 64

// versionIn returns the version of a module by its own words, "" if it has none, or a long one.
func versionIn(wasm []byte) string {
	about, _ := readAbout(wasm)
	if version := about["version"]; len(version) <= maxVersionBytes {
		return version
	}
	return ""
}

module geo

go 1.24

require (
	github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go v0.1.0
	gojson v0.0.0
)

replace (
	github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go => ../../sdk/go
	gojson => ../gojson
)

module othertags
go 1.24
require github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go v0.0.0
replace github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go => ../../../../sdk/go

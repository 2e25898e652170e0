module github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go

go 1.24

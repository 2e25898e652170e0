module github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/sdkotlp

go 1.26.0

require (
	github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go v0.0.0
	go.opentelemetry.io/proto/otlp v1.11.0
	google.golang.org/protobuf v1.36.12
)

replace github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go => ../../sdk/go

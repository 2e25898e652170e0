// Nothing: out_wasmtime.so, flb-processor_wasmtime.so and flb-filter_wasm.so only name
// flb-filter_wasmtime.so as a library that they need. What Fluent Bit looks up in them is found there, and is the same however often
// and under whatever names they are copied.

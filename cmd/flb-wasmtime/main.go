// Flb-wasmtime runs and examines guests of the Fluent Bit filter wasmtime
// without Fluent Bit.
package main

import (
	"os"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/command"
)

func main() {
	os.Exit(command.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

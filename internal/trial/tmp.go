package trial

import (
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

func tickInterval(options.Options) time.Duration { return time.Second }

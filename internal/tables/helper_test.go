package tables

import (
	"math/big"
	"syscall"
	"testing"
)

type bigInt = big.Int

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// numbers makes float64 of numbers, which no test has in two kinds.
func numbers(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case float32:
		return float64(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = numbers(v[i])
		}
		return list
	case map[string]any:
		m := map[string]any{}
		for k, e := range v {
			m[k] = numbers(e)
		}
		return m
	default:
		return v
	}
}

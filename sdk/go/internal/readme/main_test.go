package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/flbtest"
)

func TestDebugIsDropped(t *testing.T) {
	out := new(flbtest.Host).Run(filter,
		flbtest.Record{Body: `{"level":"debug"}`},
		flbtest.Record{Body: `{"user":"bob","http":{"response":{"status":503}}}`})
	want := []string{`{"user":"***","http":{"response":{"status":503,"failed":true}}}`}
	if !slices.Equal(out.Bodies(), want) {
		t.Error(out)
	}
}

func TestReadmeHasThis(t *testing.T) {
	var texts [3]string
	for i, name := range []string{"../../README.md", "main.go", "main_test.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	blocks := strings.Split(texts[0], "```go\n")[1:]
	if len(blocks) != 2 {
		t.Fatal(len(blocks))
	}
	for i, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if !strings.Contains(texts[i+1], code) {
			t.Errorf("not in %s: %s", [2]string{"main.go", "main_test.go"}[i], code)
		}
	}
}

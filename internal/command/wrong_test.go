package command

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// What is given to a command and is wrong is named, with what is wrong about it and, where that does not say it
// already, what to give.
func TestWrongInputs(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	module, err := os.ReadFile(guestFile(t, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	write("good.wat", string(module))
	wasm, err := wasmtime.Wat2Wasm(string(module))
	if err != nil {
		t.Fatal(err)
	}
	write("good.wasm", string(wasm))
	write("in.ndjson", "{}\n")
	write("empty", "")
	write("empty.wasm", "")
	write("binary", strings.Repeat("\x93\x00\x8c\xf5", 500)+"\n")
	write("none.conf", "[SERVICE]\n    flush 1\n")
	write("yaml.conf", "pipeline:\n  filters: []\n")
	write("alone.yaml", "filter: {wasm_path: good.wat}\ninput: '{}'\n")
	for _, dir := range []string{"dir", "cases.d"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}

	const (
		missing   = "no such file or directory"
		notModule = " is not a WebAssembly module: "
		outside   = " stands before the first section: begin with one, such as [SERVICE]; a file in YAML has a name that ends in .yaml or .yml"
		address   = "127.0.0.1:1/redact:1.0.0"
	)
	for _, tt := range []struct {
		args string // in which words are separated by spaces
		want string // of standard error
	}{
		// Commands and flags.
		{"help rnu", `unknown command "rnu" for "flb-wasmtime" (did you mean run?)`},
		{"help nothing", `unknown command "nothing" for "flb-wasmtime"; flb-wasmtime --help lists the commands`},
		{"man x", `man takes no arguments: what is "x" for?`},
		{"run --nosuch", "unknown flag: --nosuch; flb-wasmtime run --help lists the flags"},
		{"run -x", "unknown shorthand flag: 'x' in -x; flb-wasmtime run --help lists the flags"},
		{"run good.wat --config", "--config: no value is given: write --config VALUE; flb-wasmtime run --help says what it takes"},
		{"compile good.wat -o", "--output: no value is given: write --output VALUE"},
		{"run good.wat --chunk-records x in.ndjson", `--chunk-records: invalid value "x": a whole number is expected`},
		{"bench good.wat --records 1.5", `--records: invalid value "1.5": a whole number is expected`},
		{"bench good.wat --duration soon", `--duration: invalid value "soon": a time is expected, such as 500ms or 5s`},
		{"play good.wat --last x", `--last: invalid value "x": a whole number is expected`},
		{"run good.wat --quiet=x", `--quiet: invalid value "x": true or false is expected`},
		{"run good.wat --table a", `--table: invalid value "a": it must be of the form NAME=PATH`},
		{"run good.wat --set a", `--set: invalid value "a": it must be of the form KEY=VALUE`},
		{"run good.wat --memory-limit 63k", `option memory_limit: invalid value "63k": allowed are sizes such as 64k, 1M or 100M, from 64000 to 4294967296 bytes`},
		{"run good.wat --store-limit x", `option store_limit: invalid value "x": allowed are sizes such as 8192, 64k, 1M or 100M, from 0 to`},

		// Modules.
		{"run nowhere.wasm", "can't read the module: open nowhere.wasm: " + missing},
		{"run dir", "can't read the module: read dir: not a regular file"},
		{"run empty.wasm", "empty.wasm" + notModule + "the file is empty"},
		{"run binary", "binary" + notModule + `it does not start with \0asm`},
		{"check empty", "empty" + notModule + "the file is empty"},
		{"bench empty", "empty" + notModule + "the file is empty"},
		{"inspect empty", "empty" + notModule + "the file is empty"},
		{"compile empty", "empty" + notModule + "the file is empty"},
		{"annotate empty version=1", "empty" + notModule + "the file is empty"},
		{"push empty " + address, "empty" + notModule + "the file is empty"},

		// Records.
		{"run good.wat nowhere.ndjson", "open nowhere.ndjson: " + missing},
		{"run good.wat dir", "dir is a directory: name a file of records"},
		{"run good.wat --input-format msgpack in.ndjson dir", "dir is a directory: name a file of records"},
		{"bench good.wat dir", "dir is a directory: name a file of records"},
		{"bench good.wat empty", "empty: there is no record in it"},
		{"bench good.wat binary", "binary:1: not a JSON object"},
		{"play good.wat dir", "read dir: not a regular file"},
		{"run good.wat binary", "binary:1: not a JSON object; the line is passed through as it is"},

		// Configurations.
		{"run --config nowhere.conf", "nowhere.conf: " + missing},
		{"check --config dir", "dir: read dir: not a regular file"},
		{"play --config empty", "empty: it has no active filter called wasmtime or wasm"},
		{"check --config none.conf", "none.conf: it has no active filter or processor called wasmtime or wasm, and no output called wasmtime"},
		{"run --config binary", outside},
		{"run --config yaml.conf", `yaml.conf:1: "pipeline:"` + outside},

		// Cases.
		{"test", "there is no directory cases here: name a directory or files of cases; flb-wasmtime new LANG NAME begins a filter that has some, " +
			"and in a case that has filter and input alone --update writes what comes out"},
		{"test nowhere", "nowhere: no such file or directory: name a directory or files of cases"},
		{"test alone.yaml nowhere.yaml", "nowhere.yaml: no such file or directory: name a directory or files of cases"},
		{"test cases.d", "cases.d has no case in it: a case is a .yaml file with filter or config, input and output"},
		{"test good.wat", "good.wat is a module, and not a case: name a directory or files of cases; --wasm-path tries them with this module"},
		{"test alone.yaml --junit dir", "--junit: open dir: is a directory"},

		// What is written.
		{"compile good.wat -o dir", "write dir: is a directory"},
		{"compile good.wat -o nowhere/out", "write nowhere/out: " + missing},
		{"annotate good.wasm version=1 -o nowhere/out", "write nowhere/out: " + missing},
		{"run good.wat in.ndjson --metrics nowhere/out", "--metrics: open nowhere/out: " + missing},
		{"new rust dir/none --sdk nowhere", "nowhere does not hold the SDK for Rust: "},
		{"new rsut a", `there is no template for "rsut" (did you mean rust?)`},

		// Addresses and keys.
		{"play good.wat --listen x", `--listen: "x" has no port: give a number up to 65535, or HOST:PORT`},
		{"play good.wat --listen 127.0.0.1:99999", `--listen: "127.0.0.1:99999" has no port: give a number up to 65535`},
		{"play good.wat --listen 127.0.0.1:0 --forward=x", `--forward: "x" has no port`},
		{"sign " + address + " --key binary", "--key: binary: it holds no PEM: the file of a key begins with -----BEGIN"},
		{"verify " + address + " --key empty", "--key: empty: it holds no PEM: the file of a key begins with -----BEGIN"},
		{"verify " + address + " --key dir", "--key: read dir: not a regular file"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			got := runMain("", strings.Fields(tt.args)...)
			if got.code == exitOK || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("exit code %d, standard error %q, want %q", got.code, got.stderr, tt.want)
			}
			for line := range strings.Lines(got.stderr) {
				if len(line) > 600 {
					t.Errorf("a line of %d bytes", len(line))
				}
			}
		})
	}
	if left, err := filepath.Glob("dir/*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// What can't be written to is named, whoever writes.
func TestFullOutput(t *testing.T) {
	module, in := guestFile(t, "identity"), writeFile(t, "in.ndjson", "{}\n")
	for _, args := range [][]string{
		{"run", module, in}, {"check", module}, {"inspect", module}, {"bench", "--records", "1", module, in}, {"version"}, {"man"},
		{"play", "--listen", "127.0.0.1:0", module},
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			t.Skip("there is no /dev/full")
		}
		var stderr strings.Builder
		code := Main(args, strings.NewReader(""), full, &stderr)
		full.Close()
		if code != exitFailed || !strings.Contains(stderr.String(), "write standard output: ") || !strings.Contains(stderr.String(), syscall.ENOSPC.Error()) {
			t.Errorf("%q: exit code %d, %q", args, code, &stderr)
		}
	}
}

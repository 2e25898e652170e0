package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostcall"
)

// signature is a function as wit/flb.wit and docs/abi.md have it.
type signature struct {
	params []string // names, with _
	core   string   // its type in a module, as hostcall words it
}

var (
	witFunction = regexp.MustCompile(`(?m)^    (?:export )?([a-z0-9-]+): func\(([^)]*)\)(?: -> ([a-z0-9]+))?;$`)
	witBlock    = regexp.MustCompile(`(?ms)^(?:interface|world) ([a-z0-9-]+) \{\n(.*?)^\}`)
	witTypes    = map[string]string{"u32": "i32", "s32": "i32", "address": "i32", "u64": "i64", "s64": "i64", "f64": "f64"}

	// | `log` | `(level, address, length)` | …, with what is no i32 as name: type
	abiFunction = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| `\\(([^)]*)\\) -> ([a-z0-9]+|\\(\\))`|^\\| `([a-z0-9_]+)` \\| `\\(([^)]*)\\)`")
)

// witFunctions are the functions of each interface and world of the file.
func witFunctions(t *testing.T) map[string]map[string]signature {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "wit", "flb.wit"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]signature{}
	for _, block := range witBlock.FindAllStringSubmatch(string(b), -1) {
		functions := map[string]signature{}
		found := witFunction.FindAllStringSubmatch(block[2], -1)
		if n := strings.Count(block[2], ": func("); n != len(found) {
			t.Errorf("%s: %d functions of %d are understood", block[1], len(found), n)
		}
		for _, m := range found {
			var names, types []string
			for param := range strings.SplitSeq(m[2], ", ") {
				if param == "" {
					continue
				}
				name, typ, _ := strings.Cut(strings.TrimPrefix(param, "%"), ": ")
				if witTypes[typ] == "" {
					t.Errorf("%s: the type %s is not one that modules have", m[1], typ)
				}
				names, types = append(names, snake(name)), append(types, witTypes[typ])
			}
			functions[snake(m[1])] = signature{names, "func (" + strings.Join(types, ", ") + ") -> " + result(witTypes[m[3]])}
		}
		all[block[1]] = functions
	}
	return all
}

func snake(name string) string { return strings.ReplaceAll(name, "-", "_") }

func result(typ string) string {
	if typ == "" {
		return "()"
	}
	return typ
}

// abiFunctions are the functions in the tables of docs/abi.md.
func abiFunctions(t *testing.T) map[string]signature {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "docs", "abi.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]signature{}
	for _, m := range abiFunction.FindAllStringSubmatch(string(b), -1) {
		name, params, res := m[1], m[2], m[3]
		if name == "" {
			name, params, res = m[4], m[5], "()"
		}
		var names, types []string
		for param := range strings.SplitSeq(params, ", ") {
			if param == "" {
				continue
			}
			name, typ, found := strings.Cut(param, ": ")
			if !found {
				typ = "i32"
			}
			names, types = append(names, name), append(types, typ)
		}
		all[name] = signature{names, "func (" + strings.Join(types, ", ") + ") -> " + res}
	}
	return all
}

// wit/flb.wit has what docs/abi.md has, and what the host has: each function, with the same parameters.
func TestWIT(t *testing.T) {
	wit, abi := witFunctions(t), abiFunctions(t)
	options := cmp.AllowUnexported(signature{})

	want, documented := map[string]signature{}, map[string]signature{}
	for _, name := range hostcall.Names(hostcall.Host) {
		types := hostcall.Types(hostcall.Host, name)
		if len(types) != 1 {
			t.Errorf("%s has the types %q: one is expected", name, types)
		}
		want[name] = signature{abi[name].params, types[0]}
		documented[name] = abi[name]
	}
	if diff := cmp.Diff(want, documented, options); diff != "" {
		t.Errorf("host functions of docs/abi.md (-of the host +documented):\n%s", diff)
	}
	if diff := cmp.Diff(want, wit["flb-v1"], options); diff != "" {
		t.Errorf("wit/flb.wit: interface flb-v1 (-of the host, with names of docs/abi.md +in the file):\n%s", diff)
	}

	exports := map[string]signature{}
	for _, world := range []string{"record-guest", "batch-guest", "otlp-guest"} {
		for name, s := range wit[world] {
			if name != "filter" {
				exports[name] = s
			}
		}
	}
	want = map[string]signature{ // which stand in no table
		"flb_configure": {nil, "func () -> i32"},
		"flb_tick":      {[]string{"flags"}, "func (i32) -> i32"},
	}
	for name, s := range abi {
		if strings.HasPrefix(name, "flb_") {
			want[name] = s
		} else if documented[name].core == "" {
			t.Errorf("docs/abi.md has a function %s, which the host has not", name)
		}
	}
	if diff := cmp.Diff(want, exports, options); diff != "" {
		t.Errorf("wit/flb.wit: exports (-docs/abi.md +in the file):\n%s", diff)
	}
	for world, core := range map[string]string{
		"record-guest": "func (i32, i32, i32, i32, i32, i32) -> i32", "batch-guest": "func (i32, i32) -> i32",
	} {
		if got := wit[world]["filter"].core; got != core {
			t.Errorf("wit/flb.wit: filter of %s is %q, want %q", world, got, core)
		}
	}
	if !slices.Equal(wit["batch-guest"]["filter"].params, []string{"input", "length"}) {
		t.Errorf("wit/flb.wit: the parameters of a batch are %q", wit["batch-guest"]["filter"].params)
	}
}

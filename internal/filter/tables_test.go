package filter

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// replaceFile has another file take the place of one, all at once.
func replaceFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// While chunks go through a filter, and its guest traps and is replaced, the table's file changes:
// each record finds one version or the next, in order, and the log says each once, workers or not.
func TestTablesAreRefreshed(t *testing.T) {
	lookup := guests.WAT("lookup")
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "t.json")
			replaceFile(t, path, `{"k":0}`)
			f := startWith(t, options.Options{
				Workers: workers, Timeout: time.Minute, TableLimitBytes: 1e6, TableRefresh: time.Millisecond,
				Tables: []options.TableFile{{Name: "t", Path: path}},
			}, lookup)
			if n := f.count(hostlog.Info, "table t: "+path+", 1 entries, "); n != 1 {
				t.Errorf("%d lines say what was loaded: %v", n, f.logs)
			}
			var in []byte
			const records = 30
			for i := range records {
				in = append(in, event(int64(i+1), map[string]any{"i": i})...)
			}
			last := int64(0)
			deadline := time.Now().Add(time.Minute)
			const versions = 5
			for version := int64(0); version < versions; {
				if time.Now().After(deadline) {
					t.Fatalf("version %d does not come: %v", version, f.logs)
				}
				out, _ := f.Run(tag, in)
				list := bodies(t, out)
				if len(list) != records {
					t.Fatalf("%d records", len(list))
				}
				newest := last
				for _, b := range list {
					v, ok := b.(map[any]any)["value"].(int64)
					if !ok || v < last || v > version {
						t.Fatalf("%v after %d, and %d is the newest", b, last, version)
					}
					newest = max(newest, v)
				}
				if last = newest; last == version {
					version++
					replaceFile(t, path, fmt.Sprintf(`{"k":%d}`, version))
				}
			}
			f.Run(tag, in)
			if n := f.count(hostlog.Info, "refreshed"); n < versions-1 || n > versions {
				t.Errorf("%d lines say that it was refreshed: %v", n, f.logs)
			}
		})
	}
}

// A filter whose chunks C goes through alone has the lines of its tables in the log after the next
// chunk, and then goes on alone.
func TestTableLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.csv")
	replaceFile(t, path, "k,v\nk,1\n")
	f := startWith(t, options.Options{
		Timeout: time.Minute, TableLimitBytes: 1e6, TableRefresh: time.Millisecond, Tables: []options.TableFile{{Name: "t", Path: path}},
	}, guests.WAT("lookup"))
	replaceFile(t, path, "k,v\nk\n")
	in := event(1, map[string]any{"i": 1})
	for deadline := time.Now().Add(time.Minute); f.count(hostlog.Warn, "option table.t: "+path+": line 2: ") == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%v", f.logs)
		}
		out, _ := f.Run(tag, in)
		if diff := cmp.Diff([]any{map[any]any{"value": map[any]any{"v": "1"}}}, bodies(t, out)); diff != "" {
			t.Fatal(diff)
		}
	}
	if f.instance.HasOutput() {
		t.Error("there is still something to log")
	}
}

// What keeps a table from being loaded keeps a filter from starting, and the check says it, too.
func TestBadTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.csv")
	replaceFile(t, path, "k,v\nk\n")
	o := options.Options{
		WasmPath: writeGuest(t, guests.WAT("lookup")), FunctionName: "filter", TableLimitBytes: 1e6,
		Tables: []options.TableFile{{Name: "t", Path: path}},
	}
	_, err := New(o, func(hostlog.Level, string) {})
	for _, err := range []error{err, Check(o)} {
		if want := "option table.t: " + path + ": line 2: "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

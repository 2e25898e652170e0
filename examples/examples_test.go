// Package examples_test runs the example guests as their READMEs say.
package examples_test

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/command"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// Each example makes its expected.ndjson, which was written by hand, of its
// input.ndjson, by its SDK and in its bare form. The command takes the module and function from the
// form's own configuration. What is not committed is built before.
func TestExamples(t *testing.T) {
	// Paths in configurations count from the root of the project.
	t.Chdir("..")
	configs, err := filepath.Glob("examples/*/fluent-bit.conf")
	if err != nil || len(configs) == 0 {
		t.Fatal("no examples", err)
	}
	bare, err := filepath.Glob("examples/*/bare/fluent-bit.conf")
	if err != nil || len(bare) == 0 {
		t.Fatal("no bare forms", err)
	}
	for _, config := range append(configs, bare...) {
		dir := filepath.Dir(config)
		example := strings.TrimSuffix(dir, "/bare")
		t.Run(strings.TrimPrefix(dir, "examples/"), func(t *testing.T) {
			build(t, dir)
			var stdout, stderr bytes.Buffer
			code := command.Main([]string{"run", "--quick", "--config", config, "--tag", "app.web",
				"--time", "2023-11-14T22:13:20.123456789Z", filepath.Join(example, "input.ndjson")},
				strings.NewReader(""), &stdout, &stderr)
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, &stderr)
			}
			want, err := os.ReadFile(filepath.Join(example, "expected.ndjson"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(oracle.JSONValues(t, want), oracle.JSONValues(t, stdout.Bytes())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Both forms of an example pass its cases.
func TestExampleCases(t *testing.T) {
	t.Chdir("..")
	dirs, err := filepath.Glob("examples/*/bare")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no bare forms", err)
	}
	for _, bare := range dirs {
		dir := filepath.Dir(bare)
		for _, form := range []string{dir, bare} {
			t.Run(strings.TrimPrefix(form, "examples/"), func(t *testing.T) {
				build(t, form)
				modules, err := filepath.Glob(filepath.Join(form, "*.wasm"))
				if err != nil || len(modules) != 1 {
					t.Fatal(modules, err)
				}
				var stdout, stderr bytes.Buffer
				code := command.Main([]string{"test", "--wasm-path", modules[0], "--quick", filepath.Join(dir, "cases")}, strings.NewReader(""), &stdout, &stderr)
				said := stdout.String()
				if code != 0 || !strings.HasSuffix(said, " passed, 0 failed, 0 could not be run\n") {
					t.Errorf("exit code %d: %s%s", code, &stdout, &stderr)
				}
			})
		}
	}
}

// What a README shows first is a part of the filter's source.
func TestReadmesShowTheFilter(t *testing.T) {
	dirs, err := filepath.Glob("*/bare")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no bare forms", err)
	}
	for _, bare := range dirs {
		dir := filepath.Dir(bare)
		readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		_, code, _ := strings.Cut(string(readme), "\n```")
		_, code, _ = strings.Cut(code, "\n")
		code, _, found := strings.Cut(code, "```\n")
		if !found || strings.Contains(code, "    [FILTER]") {
			t.Errorf("%s/README.md shows no code", dir)
			continue
		}
		var source []byte
		for _, pattern := range []string{"*.c", "src/lib.rs", "main.go", "*.ts", "*.zig"} {
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				source = append(source, text...)
			}
		}
		// Function by function: what is between them may be left out.
		for part := range strings.SplitSeq(strings.TrimSpace(code), "\n\n") {
			if !bytes.Contains(source, []byte(part+"\n")) {
				t.Errorf("%s/README.md shows what is not in the source:\n%s", dir, part)
			}
		}
	}
}

// The showcase's batch guests, in whatever language, pass the same cases.
func TestShowcaseCases(t *testing.T) {
	dirs, err := filepath.Glob("showcase-*")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no modules", err)
	}
	for _, dir := range append(dirs, "showcase") {
		t.Run(dir, func(t *testing.T) {
			build(t, dir)
			module := filepath.Join(dir, "showcase.wasm")
			if dir == "showcase" {
				module = "showcase/batch.wasm"
			}
			var stdout, stderr bytes.Buffer
			code := command.Main([]string{"test", "--wasm-path", module, "--cache-dir", cache, "showcase/cases"}, strings.NewReader(""), &stdout, &stderr)
			if code != 0 || !strings.HasSuffix(stdout.String(), "\n3 passed, 0 failed, 0 could not be run\n") {
				t.Errorf("exit code %d: %s%s", code, &stdout, &stderr)
			}
		})
	}
}

var (
	lock  sync.Mutex
	built = map[string]string{} // by directory, why it was not
	cache string
)

// TestMain removes what the tests have compiled: of a module that Go built it takes seconds.
func TestMain(m *testing.M) {
	var err error
	if cache, err = os.MkdirTemp("", "examples"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(cache)
	os.Exit(code)
}

// build builds an example whose module is too large to be committed, which is one
// without TOOLCHAIN; once.
func build(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "TOOLCHAIN")); err == nil {
		return
	}
	lock.Lock()
	defer lock.Unlock()
	name := strings.TrimPrefix(dir, "examples/")
	why, done := built[name]
	if why != "" {
		t.Skip("not built: " + why)
	} else if done {
		return
	}
	run := func(target string) string {
		t.Helper()
		// The go command knows best what is up to date.
		out, err := exec.Command("make", "-s", "-B", "--no-print-directory", "-C", dir, target).CombinedOutput()
		if err != nil {
			t.Fatalf("make %s: %v: %s", target, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if why = run("why"); why != "" {
		built[name] = why
		t.Skip("not built: " + why)
	}
	run("all")
	built[name] = ""
	t.Log("built by", run("toolchain"))
}

// What redact can't mask does not leave: for the bare form what is too large for it, for that by the SDK what it has
// no memory for.
func TestRedactFailsClosed(t *testing.T) {
	t.Chdir("..")
	large := `{"log":"` + strings.Repeat("x", 300<<10) + `","password":"hunter2"}`
	const small, masked = `{"password":"hunter2"}`, `{"password":"***"}`
	for _, c := range []struct {
		args        []string
		want        []any
		code        int
		in, failure string
	}{
		{[]string{"--config", "examples/c/bare/fluent-bit.conf"}, oracle.JSONValues(t, []byte(masked)), 1, large + "\n" + small, "1 failed (1: the guest's reply is not a map)"},
		{[]string{"--config", "examples/c/fluent-bit.conf"}, oracle.JSONValues(t, []byte(strings.Replace(large, "hunter2", "***", 1)+masked)), 0, large + "\n" + small, "0 failed"},
		{[]string{"examples/c/redact.wasm", "--on-error", "drop", "--memory-limit", "1M"}, nil, 1, `{"password":"` + strings.Repeat("x", 1<<20) + `"}`, "1 failed"},
	} {
		var stdout, stderr bytes.Buffer
		code := command.Main(append([]string{"run", "--tag", "app.web"}, c.args...), strings.NewReader(c.in+"\n"), &stdout, &stderr)
		if diff := cmp.Diff(c.want, oracle.JSONValues(t, stdout.Bytes())); diff != "" {
			t.Errorf("%v: %.2000s", c.args, diff)
		}
		if code != c.code || !strings.Contains(stderr.String(), c.failure) {
			t.Errorf("%v: exit code %d: %s", c.args, code, &stderr)
		}
	}
}

// enrich has countries of a MaxMind DB, for addresses of both kinds, and departments of a table.
func TestEnrich(t *testing.T) {
	t.Chdir("..")
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-Country", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for prefix, country := range map[string]string{"192.0.2.0/24": "DE", "2001:db8::/32": "FR"} {
		_, network, err := net.ParseCIDR(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(network, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(country)}}); err != nil {
			t.Fatal(err)
		}
	}
	var db bytes.Buffer
	if _, err := w.WriteTo(&db); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "country.mmdb")
	if err := os.WriteFile(path, db.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	const dir = "examples/enrich-table/"
	for _, form := range []string{"enrich.wasm", "bare/enrich.wasm"} {
		run := func(in string, tables ...string) (string, string) {
			args := []string{"run", dir + form, "--quiet"}
			for _, table := range tables {
				args = append(args, "--table", table)
			}
			var stdout, stderr bytes.Buffer
			command.Main(args, strings.NewReader(in), &stdout, &stderr)
			return stdout.String(), stderr.String()
		}
		out, stderr := run(`{"client_ip":"192.0.2.7","user":"bob"}`+"\n"+`{"client_ip":"2001:DB8::1"}`+"\n"+`{"client_ip":"192.0.3.1"}`+"\n"+`{"client_ip":"host"}`+"\n",
			"geo="+path, "users="+dir+"users.csv")
		want := []any{
			map[string]any{"client_ip": "192.0.2.7", "user": "bob", "user_department": "Platform", "client_country": "DE"},
			map[string]any{"client_ip": "2001:DB8::1", "client_country": "FR"}, map[string]any{"client_ip": "192.0.3.1"}, map[string]any{"client_ip": "host"},
		}
		if diff := cmp.Diff(want, oracle.JSONValues(t, []byte(out))); diff != "" {
			t.Error(form, diff, stderr)
		}
		// The bare form has a buffer for 252 KiB, the SDK what memory there is.
		large := map[string]any{"user": "bob", "x": strings.Repeat("x", 300<<10)}
		text, err := json.Marshal(large)
		if err != nil {
			t.Fatal(err)
		}
		if form == "enrich.wasm" {
			large["user_department"] = "Platform"
		}
		out, stderr = run(string(text)+"\n", "users="+dir+"users.csv")
		if diff := cmp.Diff([]any{large}, oracle.JSONValues(t, []byte(out))); diff != "" {
			t.Errorf("%s: %.500s %s", form, diff, stderr)
		}
	}
}

// The showcases by SDKs, with the text of each for a configuration that is not a number, and what a byte
// becomes that is not UTF-8.
var showcaseSDKs = map[string]struct{ notNumber, notUTF8 string }{
	"showcase-rust":           {"invalid digit", "\uFFFD"},
	"showcase-go":             {"invalid syntax", "\xff"},
	"showcase-assemblyscript": {"set it to a whole number that is not negative", "\uFFFD"},
	"showcase-zig":            {"set it to a whole number, 0 to 4294967295", "\xff"},
}

// They mask what is beside bodies, too: in metadata and in what a group has in common, in bins and in
// texts that are not UTF-8; and events of the form without metadata come out in it.
func TestShowcaseSDKMasksEverywhere(t *testing.T) {
	t.Chdir("..")
	for name, sdk := range showcaseSDKs {
		t.Run(name, func(t *testing.T) { masksEverywhere(t, "examples/"+name, sdk.notUTF8) })
	}
}

func masksEverywhere(t *testing.T, dir, notUTF8 string) {
	build(t, dir)
	object := func(pairs ...string) []byte {
		b := mp.AppendMapHeader(nil, len(pairs)/2)
		for _, s := range pairs {
			b = mp.AppendString(b, s)
		}
		return b
	}
	nested := func(key string, value []byte) []byte {
		return append(mp.AppendString(mp.AppendMapHeader(nil, 1), key), value...)
	}
	oldForm := func(sec uint64, body []byte) []byte {
		return append(mp.AppendUint(mp.AppendArrayHeader(nil, 2), sec), body...)
	}
	bin := func(s string) []byte { return append([]byte{0xc4, byte(len(s))}, s...) }
	var in, want []byte
	in = chunk.AppendRecord(in, -1, 0, object("owner", "ops@example.com"), nested("resource", object("mail", "bob@example.com")))
	want = chunk.AppendRecord(want, -1, 0, object("owner", "***"), nested("resource", object("mail", "***")))
	in = chunk.AppendRecord(in, 7, 8, nested("otlp", object("from", "x bob@example.com")), nested("raw", bin("bob@example.com")))
	body := func(key string, value []byte) []byte {
		b := append(mp.AppendString(mp.AppendMapHeader(nil, 2), key), value...)
		return mp.AppendString(mp.AppendString(b, "environment"), "test")
	}
	want = chunk.AppendRecord(want, 7, 8, nested("otlp", object("from", "x ***")), body("raw", bin("***")))
	in = chunk.AppendRecord(in, -2, 0, object(), object())
	want = chunk.AppendRecord(want, -2, 0, object(), object())
	in = append(in, oldForm(9, object("a", "\xff bob@example.com"))...)
	want = append(want, oldForm(9, body("a", mp.AppendString(nil, notUTF8+" ***")))...)

	var stdout, stderr bytes.Buffer
	code := command.Main([]string{"run", dir + "/showcase.wasm", "--cache-dir", cache, "--input-format", "msgpack", "--output-format", "msgpack",
		"--set", "environment=test", "--table", "geo=examples/showcase/geo.csv", "--store-limit", "1M", "--metrics", "-"},
		bytes.NewReader(in), &stdout, &stderr)
	if code != 0 || !bytes.Equal(stdout.Bytes(), want) {
		t.Errorf("exit code %d\ngot  %q\nwant %q\n%s", code, &stdout, want, &stderr)
	}
	for _, line := range []string{`masked_total{where="body"} 2`, `masked_total{where="metadata"} 1`, `masked_total{where="group"} 2`} {
		if !strings.Contains(stderr.String(), line) {
			t.Errorf("no %s in %s", line, &stderr)
		}
	}
}

// A configuration that they refuse is a start error with its text.
func TestShowcaseSDKRefuses(t *testing.T) {
	t.Chdir("..")
	const table = "=examples/showcase/geo.csv"
	for name, sdk := range showcaseSDKs {
		t.Run(name, func(t *testing.T) {
			build(t, "examples/"+name)
			for want, args := range map[string][]string{
				"config.count_ttl is 'soon': " + sdk.notNumber:                     {"--set", "environment=x", "--set", "count_ttl=soon", "--table", "geo" + table},
				"config.environment: set it to what is to be added to each record": {"--table", "geo" + table},
				"table.geo: set it to a .csv, .json or .mmdb file":                 {"--set", "environment=x", "--table", "other" + table},
			} {
				var stdout, stderr bytes.Buffer
				code := command.Main(append([]string{"run", "examples/" + name + "/showcase.wasm", "--cache-dir", cache, "--store-limit", "1M"}, args...),
					strings.NewReader("{}"), &stdout, &stderr)
				if code != 2 || !strings.Contains(stderr.String(), want) {
					t.Errorf("exit code %d: %s, want %s", code, &stderr, want)
				}
			}
		})
	}
}

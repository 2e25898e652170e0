package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FilterOptions are all options of the filter for a case whose files are in dir.
func (c *Case) FilterOptions(dir string) map[string]string {
	all := map[string]string{
		"wasm_path":     c.ModulePath(dir),
		"function_name": Function,
		"on_error":      "mark",
		"mark_key":      FailedKey,

		// It counts what many cases do on purpose.
		"breaker_failures": "0",
	}
	for name, value := range c.Options {
		all[name] = strings.ReplaceAll(value, "$DIR", dir)
	}
	return all
}

// ModulePath is where WriteFiles puts the module.
func (c *Case) ModulePath(dir string) string { return filepath.Join(dir, c.Name+".wat") }

// WriteFiles writes the module and the files of a case.
func (c *Case) WriteFiles(dir string) error {
	if err := os.WriteFile(c.ModulePath(dir), []byte(c.Module), 0o600); err != nil {
		return err
	}
	for name, text := range c.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// RunAll runs each case by itself in a host, several at a time. dir has the files of the case.
func RunAll(t *testing.T, run func(t *testing.T, c *Case, dir string) Result) {
	t.Helper()
	cases, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if c.Slow && testing.Short() {
				t.Skip("it takes its time: -short")
			}
			t.Parallel()
			dir := t.TempDir()
			if err := c.WriteFiles(dir); err != nil {
				t.Fatal(err)
			}
			c.Report(t, run(t, c, dir))
		})
	}
}

// Report fails the test if a result is not what the rule of the case asks for.
func (c *Case) Report(t *testing.T, r Result) {
	t.Helper()
	problems := c.Check(r)
	for _, problem := range problems {
		t.Errorf("%s: %s", c.Name, problem)
	}
	if len(problems) == 0 {
		return
	}
	t.Logf("the rule: %s", c.Rule)
	if r.Message != "" {
		t.Logf("the host has said:\n%.8000s", r.Message)
	}
	for _, line := range r.Log {
		t.Logf("log: %s: %.500s", line.Level, line.Text)
	}
}

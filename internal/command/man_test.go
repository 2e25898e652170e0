package command

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/version"
)

var roffFont = regexp.MustCompile(`\\f[BIR]`)

// readRoff is the text of a page of which escapes are undone, line by line.
func readRoff(t *testing.T, page string) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(page) {
		line = roffFont.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
		for _, c := range line {
			if c > 0x7e {
				t.Errorf("%q is not ASCII, which any man reads", line)
			}
		}
		line = strings.NewReplacer(`\-`, "-", `\e`, `\`, `\&`, "", `\(en`, "–").Replace(line)
		lines = append(lines, line)
	}
	return lines
}

// The page has each command, each flag and each option of the filter, with what help says of it.
func TestManual(t *testing.T) {
	got := runMain("", "man")
	if got.code != exitOK || got.stderr != "" {
		t.Fatalf("exit code %d, stderr %q", got.code, got.stderr)
	}
	lines := readRoff(t, got.stdout)
	page := strings.Join(lines, "\n") + "\n"
	if !strings.Contains(lines[0], "fluent-bit-wasmtime "+version.Version) {
		t.Errorf("the version is not in %q", lines[0])
	}
	// section is what stands below a heading.
	section := func(heading string) string {
		_, after, ok := strings.Cut(page, "\n"+heading+"\n")
		if !ok {
			t.Fatalf("no %q", heading)
		}
		end := regexp.MustCompile(`(?m)^\.S[HS] `).FindStringIndex(after)
		if end == nil {
			return after
		}
		return after[:end[0]]
	}
	for _, c := range visible(newRoot()) {
		text := section(".SS " + c.Name())
		if !strings.Contains(section(".SH SYNOPSIS"), "\n"+c.Use+"\n") {
			t.Errorf("%s is not in the synopsis", c.Use)
		}
		for line := range strings.SplitSeq(c.Long, "\n") {
			if !strings.Contains(text, line) {
				t.Errorf("%s: %q is missing", c.Name(), line)
			}
		}
		filter := section(".SH OPTIONS OF THE FILTER")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			where := text
			if slices.ContainsFunc(options.Table, func(o options.Option) bool { return flagName(o) == "--"+f.Name }) {
				where = filter
			}
			_, usage := pflag.UnquoteUsage(f)
			if !regexp.MustCompile(`(?m)^(\.B )?(-\w, )?--`+f.Name+`\b`).MatchString(where) || !strings.Contains(where, usage) {
				t.Errorf("%s: --%s (%s) is missing", c.Name(), f.Name, usage)
			}
		})
	}
	for _, o := range options.Table {
		if !strings.Contains(page, flagName(o)) || !strings.Contains(page, o.Help) {
			t.Errorf("option %s is missing", o.Name)
		}
	}
}

// No text becomes a request: what begins with a dot is one that the page means to have.
func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		".so /etc/passwd": `\&.so /etc/passwd`,
		"'br":             `\&'br`,
		`a\fBb`:           `a\efBb`,
		"--a-b":           `\-\-a\-b`,
		"a.b 'c'":         "a.b 'c'",
	} {
		if got := roff(text); got != want {
			t.Errorf("roff(%q) = %q, want %q", text, got, want)
		}
	}
}

// complete is what a shell is offered for the last of these arguments.
func complete(t *testing.T, args ...string) []string {
	t.Helper()
	got := runMain("", append([]string{cobra.ShellCompRequestCmd}, args...)...)
	if got.code != exitOK {
		t.Fatalf("%q: exit code %d, stderr %q", args, got.code, got.stderr)
	}
	var words []string
	for line := range strings.Lines(got.stdout) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		words = append(words, word)
	}
	return words[:len(words)-1] // without the directive
}

func TestCompletion(t *testing.T) {
	commands := complete(t, "")
	for _, c := range []string{"run", "play", "test", "check", "bench", "compile", "version"} {
		if !slices.Contains(commands, c) {
			t.Errorf("%s is not offered: %q", c, commands)
		}
	}
	if slices.Contains(commands, "man") {
		t.Errorf("man is offered")
	}
	for _, c := range []string{"run", "play", "check", "bench", "compile"} {
		flags := complete(t, c, "--")
		for _, o := range options.Table {
			if !slices.Contains(flags, flagName(o)) {
				t.Errorf("%s: %s is not offered", c, flagName(o))
			}
			values := complete(t, c, flagName(o)+"=")
			if o.Type == options.Bool {
				o.Values = []string{"on", "off"}
			}
			if len(o.Values) > 0 && !slices.Equal(values, o.Values) {
				t.Errorf("%s: %s: %q is offered, want %q", c, flagName(o), values, o.Values)
			}
		}
		if files := complete(t, c, "--wasm-path", ""); !slices.Equal(files, []string{"wasm", "wat", "cwasm"}) {
			t.Errorf("%s: --wasm-path: files ending in %q are offered", c, files)
		}
	}
	for _, c := range []string{"run", "play", "check", "bench", "compile"} {
		if files := complete(t, c, ""); !slices.Equal(files, []string{"wasm", "wat", "cwasm"}) {
			t.Errorf("%s: files ending in %q are offered", c, files)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got := runMain("", "completion", shell); got.code != exitOK || !strings.Contains(got.stdout, cobra.ShellCompRequestCmd) {
			t.Errorf("%s: exit code %d, stderr %q", shell, got.code, got.stderr)
		}
	}
}

// What an option's table offers as values is what the parser takes, and all it takes.
func TestOfferedValues(t *testing.T) {
	wasm := guestFile(t, "identity")
	for _, o := range options.Table {
		if len(o.Values) == 0 {
			continue
		}
		for _, v := range append(slices.Clone(o.Values), "other") {
			_, err := options.Parse(options.From(func(name string) (string, bool) {
				switch name {
				case wasmPath:
					return wasm, true
				case functionName:
					return "filter", true
				}
				return v, name == o.Name
			}))
			if (err == nil) != slices.Contains(o.Values, v) {
				t.Errorf("%s %s: %v", o.Name, v, err)
			}
		}
	}
}

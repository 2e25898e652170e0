package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// messages are the texts of the plugin's Go sources, with … for what fmt fills in.
func messages(t *testing.T) (all []string) {
	t.Helper()
	verb := regexp.MustCompile(`%(\[\d+\])?[+#]?[a-z]`)
	literal := func(e ast.Expr) string {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if s, err := strconv.Unquote(l.Value); err == nil {
				return s
			}
		}
		return ""
	}
	var text func(e ast.Expr) string
	text = func(e ast.Expr) string {
		b, ok := e.(*ast.BinaryExpr)
		if !ok {
			if s := literal(e); s != "" {
				return verb.ReplaceAllString(s, "…")
			}
			return "…"
		}
		return text(b.X) + text(b.Y)
	}
	for _, dir := range []string{"internal", "."} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && dir == "." && name != root {
				return fs.SkipDir
			}
			if d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if s := text(e); strings.Trim(s, "…") != "" {
						all = append(all, s)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// pattern matches what is quoted word for word, but for …, which stands for anything.
func pattern(quoted string) *regexp.Regexp {
	parts := strings.Split(quoted, "…")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile(`\A` + strings.Join(parts, ".*") + `\z`)
}

var (
	logBlock = regexp.MustCompile("(?ms)^```log\n(.*?)^```$")
	// Causes stand in the first column of a table.
	causeRow = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|")
)

// What troubleshooting.md quotes of the log are messages of the plugin.
func TestMessages(t *testing.T) {
	const at = "docs/troubleshooting.md"
	document := read(t).text[at]
	var quoted []string
	for _, m := range logBlock.FindAllStringSubmatch(document, -1) {
		quoted = append(quoted, strings.Split(strings.TrimRight(m[1], "\n"), "\n")...)
	}
	_, causes, ok := strings.Cut(document, "| why | do |\n")
	if !ok {
		t.Fatal("there is no table of causes")
	}
	causes, _, _ = strings.Cut(causes, "\n\n")
	for _, m := range causeRow.FindAllStringSubmatch(causes, -1) {
		for _, c := range code.FindAllString(m[1], -1) {
			quoted = append(quoted, strings.Trim(c, "`"))
		}
	}
	all := messages(t)
	for _, q := range quoted {
		if letters := strings.ReplaceAll(q, "…", ""); len(letters) < 8 {
			t.Errorf("%s: too little is left of %q to be found", at, q)
		}
		if !slices.ContainsFunc(all, pattern(q).MatchString) {
			t.Errorf("%s quotes %q, which no source has", at, q)
		}
	}
	if len(quoted) < 30 {
		t.Errorf("%d messages found", len(quoted))
	}
}

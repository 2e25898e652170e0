package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	verb = regexp.MustCompile(`%(\[\d+\])?[+#]?(?:ll?)?[a-z]`)
	// Literals of C with nothing between them are one.
	cText    = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"(?:\s+"(?:[^"\\\n]|\\.)*")*`)
	cLiteral = regexp.MustCompile(`"((?:[^"\\\n]|\\.)*)"`)
)

// messages are the texts of the plugin's sources, with … for what fmt and printf fill in.
func messages(t *testing.T) (all []string) {
	t.Helper()
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
			if ext := path.Ext(name); ext == ".c" || ext == ".h" {
				b, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				for _, several := range cText.FindAllString(string(b), -1) {
					s := ""
					for _, one := range cLiteral.FindAllStringSubmatch(several, -1) {
						s += one[1]
					}
					all = append(all, verb.ReplaceAllString(s, "…"))
				}
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

// said tells whether a quotation is a message, or one put together of several with ": " between them.
func said(messages []string, quoted string) bool {
	if slices.ContainsFunc(messages, pattern(quoted).MatchString) {
		return true
	}
	for at := 0; ; {
		i := strings.Index(quoted[at:], ": ")
		if i < 0 {
			return false
		}
		at += i
		if slices.ContainsFunc(messages, pattern(quoted[:at]).MatchString) && said(messages, quoted[at+2:]) {
			return true
		}
		at += 2
	}
}

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
		if !said(all, q) {
			t.Errorf("%s quotes %q, which no source has", at, q)
		}
	}
	if len(quoted) < 30 {
		t.Errorf("%d messages found", len(quoted))
	}
}

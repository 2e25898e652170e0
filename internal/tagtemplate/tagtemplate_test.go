package tagtemplate

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

func TestAppend(t *testing.T) {
	body := oracle.Pack(map[string]any{
		"level": "warn", "code": 418, "neg": -5, "ok": true, "f": 1.5, "list": []int{1}, "empty": "",
		"kubernetes": map[string]any{"pod name": "p-1", "labels": map[string]any{"app": "web"}},
	})
	for _, test := range []struct{ template, want string }{
		{"fixed", "fixed"},
		{"$TAG", "app.web.log"},
		{"masked.$TAG", "masked.app.web.log"},
		{"$TAG[1]", "web"},
		{"$TAG[0].$TAG[2]", "app.log"},
		{"$TAG[7]x", "x"},
		{"$level.$code.$neg.$ok.$f", "warn.418.-5.true.1.5"},
		{"$kubernetes['pod name'].$kubernetes['labels']['app']", "p-1.web"},
		{"x.$list.$missing.$kubernetes", "x..."},
		{"$level['sub']y", "y"},
		{"$missing", "app.web.log"}, // a tag is never empty
		{"$empty$missing", "app.web.log"},
	} {
		tpl, err := Parse(test.template)
		if err != nil {
			t.Errorf("%s: %v", test.template, err)
			continue
		}
		if got := string(tpl.Append([]byte("."), "app.web.log", body)); got != "."+test.want {
			t.Errorf("%s: %q, want %q", test.template, got[1:], test.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, s := range []string{"$", "a.$", "$.x", "$TAG[", "$TAG[x]", "$TAG[-1]", "$TAG[99999999]", "$a['b", "$a['']", "$$"} {
		if _, err := Parse(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}

// A record can't make a tag as long as it likes, or be read beyond its end.
func TestHostileRecords(t *testing.T) {
	tpl, err := Parse("$a.$a.$b")
	if err != nil {
		t.Fatal(err)
	}
	long := oracle.Pack(map[string]any{"a": strings.Repeat("x", 100_000), "b": "y"})
	if got := tpl.Append(nil, "t", long); len(got) > MaxBytes+2 {
		t.Errorf("a tag of %d bytes", len(got))
	}
	for i := range long[:64] {
		tpl.Append(nil, "t", bytes.Clone(long[:i]))
	}
	tpl.Append(nil, "t", []byte{0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 'a'})
}

package guest

import (
	"fmt"
	"strings"
	"testing"
)

// A module is identified by its file; what it says of its version is taken if a label can hold it.
func TestIdentity(t *testing.T) {
	for _, test := range []struct{ section, version string }{
		{"", ""},
		{"name=x\nversion=1.2.3-rc.1\n", "1.2.3-rc.1"},
		{"version=" + strings.Repeat("1", 64), strings.Repeat("1", 64)},
		{"version=" + strings.Repeat("1", 65), ""},
		{"version=a\tb", ""},
		{"version=\xff", ""},
	} {
		content := custom(t, test.section)
		m, err := loadContent(Source{Path: "m.wasm"}, content)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		id := m.Identity()
		if id.Version != test.version || id.Hash != fmt.Sprintf("%x", m.key.sum) || id.ABI != ABIFilter || id.Origin != Compiled || id.LoadTime <= 0 {
			t.Errorf("%q: %+v", test.section, id)
		}
	}
	m, err := loadContent(Source{Path: "m.wat"}, []byte(`(module (memory (export "memory") 1)
	  (func (export "flb_batch_1")) (func (export "flb_buffer") (param i32) (result i32) (i32.const 0)))`))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if id := m.Identity(); id.ABI != ABIBatch || id.Version != "" {
		t.Errorf("%+v", id)
	}
}

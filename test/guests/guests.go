// Package guests holds small WebAssembly guests for tests, in text form. Each
// says in its first lines what it does and which promise it is there to test.
package guests

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed *.wat
var files embed.FS

// WAT returns the text of a guest, such as "identity". It panics if there is
// none of that name.
func WAT(name string) string {
	text, err := files.ReadFile(name + ".wat")
	if err != nil {
		panic(fmt.Sprintf("guests: no guest %q, there are %s", name, strings.Join(Names(), ", ")))
	}
	return string(text)
}

// Names returns the names of all guests in alphabetical order.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // An embedded directory can be read.
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), path.Ext(entry.Name())))
	}
	return names
}

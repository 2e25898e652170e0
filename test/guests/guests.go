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

// Version returns the guest "versioned" with one character that its replies hold as their version.
func Version(letter string) string {
	if len(letter) != 1 {
		panic("guests: a version is one character: " + letter)
	}
	return strings.Replace(WAT("versioned"), `"A\"`, `"`+letter+`\"`, 1)
}

package trial

import (
	"fmt"
	"strings"
)

// Palette is how what was and what is are told apart on a terminal. The zero Palette has no colour.
type Palette struct{ was, is, bold, end string }

// Colours is the Palette of a terminal.
var Colours = Palette{was: "\x1b[31m", is: "\x1b[32m", bold: "\x1b[1m", end: "\x1b[0m"}

// Was is a line of what was, or was expected.
func (p Palette) Was(text string) string { return p.was + "- " + text + p.end }

// Is is a line of what there is.
func (p Palette) Is(text string) string { return p.is + "+ " + text + p.end }

// Bad is a word that something has failed.
func (p Palette) Bad(text string) string { return p.was + p.bold + text + p.end }

// Good is a word that all is well.
func (p Palette) Good(text string) string { return p.is + text + p.end }

// Changes lists changes, a place and what was and is there on lines of their own.
func (p Palette) Changes(indent string, list []Change) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%s%s%s%s\n", indent, p.bold, c.Path, p.end)
		if !c.Added {
			fmt.Fprintf(&b, "%s  %s\n", indent, p.Was(changed(c.Was)))
		}
		if !c.Removed {
			fmt.Fprintf(&b, "%s  %s\n", indent, p.Is(changed(c.Is)))
		}
	}
	return b.String()
}

// maxShown bounds what a line shows of a value.
const maxShown = 2000

// changed is a value as a line shows it.
func changed(v Value) string {
	text := Notation(v)
	if len(text) > maxShown {
		return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(text[:maxShown], ""), len(text))
	}
	return text
}

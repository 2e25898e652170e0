package command

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/version"
)

// newMan is for packages: hidden, as cobra's own command completion is.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Short:  "Write the manual page of this program",
		Hidden: true,
		Args:   noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return write(cmd.OutOrStdout(), manual(cmd.Root()))
		},
	}
}

// manual is the program's page in man(7), made from what the commands say of themselves. It
// has no date, so that one version has one page.
func manual(root *cobra.Command) []byte {
	var m man
	m.line(`.TH FLB\-WASMTIME 1 "" "fluent-bit-wasmtime %s" "User Commands"`, version.Version)
	// Neither hyphens nor blanks that are not in the text: it is to be copied from.
	m.line(".nh")
	m.line(".ad l")
	m.heading("SH", "NAME")
	m.line(`%s \- %s`, roff(root.Name()), roff(lowerFirst(root.Short)))
	m.heading("SH", "SYNOPSIS")
	commands := visible(root)
	for i, c := range commands {
		if i > 0 {
			m.line(".br")
		}
		m.line(".B %s", roff(root.Name()))
		m.line("%s", roff(c.Use))
	}
	m.heading("SH", "DESCRIPTION")
	m.text(root.Long)

	m.heading("SH", "COMMANDS")
	for _, c := range commands {
		m.heading("SS", c.Name())
		if c.Long != "" {
			m.text(c.Long)
		} else {
			m.text(c.Short + ".")
		}
		ofFilter := false
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if isFilterFlag(f) {
				ofFilter = true
			} else {
				m.flag(f)
			}
		})
		if ofFilter {
			m.text("It also takes the options of the filter, which are below.")
		}
	}

	m.heading("SH", "OPTIONS OF THE FILTER")
	m.text("The names that these options have in a configuration are those of the flags, with an\n" +
		"underscore for each hyphen between words.")
	filter := &cobra.Command{}
	filter.Flags().SortFlags = false
	filterFlags{}.add(filter)
	filter.Flags().VisitAll(m.flag)

	m.heading("SH", "EXIT STATUS")
	for _, s := range []struct {
		code    int
		meaning string
	}{
		{exitOK, "all went well"},
		{exitFailed, "records failed, what was checked would not start, or a registry has refused, or what it has is refused"},
		{exitUsage, "nothing was run: arguments, configuration or module are wrong"},
		{exitAway, "a registry could not be reached, or was overloaded: later it may work"},
	} {
		m.line(".TP")
		m.line(".B %d", s.code)
		m.line("%s", roff(s.meaning))
	}
	m.heading("SH", "SEE ALSO")
	m.line("The documentation of the plugin is in")
	m.line(".IR /usr/share/doc/fluent\\-bit\\-wasmtime .")
	return m.Bytes()
}

func visible(root *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, c := range root.Commands() {
		if !c.Hidden && c.Name() != "help" {
			out = append(out, c)
		}
	}
	return out
}

func isFilterFlag(f *pflag.Flag) bool {
	_, ok := f.Value.(*optionValue)
	return ok
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// man is a page being written.
type man struct {
	bytes.Buffer
	begun bool // the section has text
}

func (m *man) heading(request, text string) {
	m.line(".%s %s", request, roff(text))
	m.begun = false
}

// line adds a line as it is: with requests and escapes.
func (m *man) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

// text adds paragraphs. Lines that begin with blanks are kept as they are.
func (m *man) text(text string) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if m.begun {
			m.line(".PP")
		}
		m.begun = true
		indented := false
		for line := range strings.SplitSeq(paragraph, "\n") {
			if blank := strings.HasPrefix(line, " "); blank != indented {
				indented = blank
				m.line("%s", map[bool]string{true: ".nf", false: ".fi"}[indented])
			}
			m.line("%s", roff(line))
		}
		if indented {
			m.line(".fi")
		}
	}
}

// flag adds an option with what it takes, means and is by default.
func (m *man) flag(f *pflag.Flag) {
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	takes, usage := pflag.UnquoteUsage(f)
	m.line(".TP")
	switch {
	case f.Value.Type() == "bool":
		m.line(".B %s", roff(name))
	case f.NoOptDefVal != "":
		m.line(`\fB%s\fR[=\fI%s\fR]`, roff(name), roff(takes))
	default:
		m.line(`\fB%s\fR \fI%s\fR`, roff(name), roff(takes))
	}
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
		usage += " (default: " + f.DefValue + ")"
	}
	m.line("%s", roff(usage))
}

var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "–", `\(en`)

// roff is text in which nothing is a request or an escape.
func roff(text string) string {
	text = roffEscapes.Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

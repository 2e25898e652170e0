package fbconf

import (
	"path/filepath"
	"strings"
)

// classic reads a file of the classic format.
func (l *loader) classic(path string, from position) error {
	data, err := l.open(path, from)
	if err != nil {
		return err
	}

	r := classicReader{loader: l, section: -1}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if err := r.line(line, position{path, number}); err != nil {
			return err
		}
	}
	return nil
}

// classicReader is the state between two lines of a file. An included file
// does not change the section that the lines after it belong to.
type classicReader struct {
	*loader
	section int    // index of the section that lines belong to, -1 before the first
	indent  string // of the file's first key
	group   bool   // the last header was that of a group within the section
}

func (r *classicReader) line(line string, at position) error {
	content := strings.TrimLeft(line, " \t")
	switch {
	case content == "" || content[0] == '#':
		return nil
	case line[0] == '@':
		return r.command(line[1:], at)
	case line[0] == '[':
		name, _, ok := strings.Cut(line[1:], "]")
		if !ok {
			return at.errorf("section header %q does not end with ]", line)
		}
		r.config.Sections = append(r.config.Sections, Section{
			Kind: sectionKind(name), File: at.file, Line: at.line,
		})
		r.section, r.group = len(r.config.Sections)-1, false
		return nil
	}

	if r.section < 0 {
		return at.errorf("%.100q stands before the first section: begin with one, such as [SERVICE]; a file in YAML has a name that ends in .yaml or .yml", content)
	}
	if err := r.checkIndent(line[:len(line)-len(content)], at); err != nil {
		return err
	}
	if content[0] == '[' {
		if !strings.Contains(content, "]") {
			return at.errorf("group header %q does not end with ]", content)
		}
		r.group = true
		return nil
	}
	key, value, _ := strings.Cut(content, " ")
	value = strings.TrimSpace(value)
	if value == "" {
		return at.errorf("key %q has no value; a space must stand between them", key)
	}
	if r.group {
		return nil
	}
	s := &r.config.Sections[r.section]
	s.Properties = append(s.Properties, Property{Key: strings.ToLower(key), Value: value, Line: at.line})
	return nil
}

// checkIndent insists on one indentation in a file, twice that within a group.
func (r *classicReader) checkIndent(indent string, at position) error {
	if indent == "" {
		return at.errorf("keys of a section must be indented")
	}
	if r.indent == "" {
		r.indent = indent
	}
	switch {
	case indent == r.indent:
		r.group = false
	case !strings.HasPrefix(indent, r.indent):
		return at.errorf("indented by %q, the lines before by %q", indent, r.indent)
	case !r.group || len(indent) != 2*len(r.indent):
		return at.errorf("indented deeper than the lines before")
	}
	return nil
}

// command runs what follows an @ in a line's first column.
func (r *classicReader) command(line string, at position) error {
	name, args, _ := strings.Cut(line, " ")
	args = strings.TrimSpace(args)
	switch {
	case args == "":
		return at.errorf("@%s has no value", name)
	case strings.EqualFold(name, "include"):
		return r.include(r.resolve(args), at, r.classic)
	case strings.EqualFold(name, "set"):
		key, value, ok := strings.Cut(args, "=")
		if !ok {
			return at.errorf("@%s %s is not of the form key=value", name, args)
		}
		r.vars[key] = value
	default:
		r.warnf(at, "@%s is not known and left out", name)
	}
	return nil
}

// resolve finds an included file: a name as it stands, relative to the working
// directory, then next to the main file; a pattern only there
// (src/config_format/flb_cf_fluentbit.c, read_config and read_glob, 5.1.1).
func (l *loader) resolve(path string) string {
	if filepath.IsAbs(path) || !strings.Contains(path, "*") && l.files.exists(path) {
		return path
	}
	return filepath.Join(l.dir, path)
}

package fbconf

import (
	"errors"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	goyaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// yaml reads a file of the YAML format.
func (l *loader) yaml(path string, from position) error {
	data, err := l.open(path, from)
	if err != nil {
		return err
	}
	// Fluent Bit takes a key twice in a mapping as two properties.
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return yamlError(path, err)
	}
	r := yamlReader{loader: l, file: path}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType {
			continue
		}
		if err := r.document(doc.Body); err != nil {
			return err
		}
	}
	return nil
}

func yamlError(path string, err error) error {
	at := position{file: path}
	text := err.Error()
	var located goyaml.Error
	if errors.As(err, &located) {
		text = located.GetMessage()
		if tk := located.GetToken(); tk != nil && tk.Position != nil {
			at.line = tk.Position.Line
		}
	}
	return at.errorf("not valid YAML: %s", text)
}

type yamlReader struct {
	*loader
	file string
}

// pair is a key of a mapping with what stands after it.
type pair struct {
	key   string
	at    position
	value ast.Node
}

func (r *yamlReader) document(body ast.Node) error {
	top, err := r.mapping(body)
	if err != nil {
		return err
	}
	for _, p := range top {
		var err error
		switch strings.ToLower(p.key) {
		case "env":
			err = r.variables(p.value)
		case "includes":
			err = r.includes(p.value)
		case "service":
			err = r.plugin("service", p.value)
		case "pipeline":
			err = r.pipeline(p.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// variables reads env: as a mapping, or as a list of name and value.
func (r *yamlReader) variables(node ast.Node) error {
	if _, ok := unwrap(node).(*ast.SequenceNode); !ok {
		pairs, err := r.mapping(node)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			if r.vars[p.key], err = r.scalar(p.value); err != nil {
				return err
			}
		}
		return nil
	}
	list, err := r.sequence(node)
	if err != nil {
		return err
	}
	for _, element := range list {
		pairs, err := r.mapping(element)
		if err != nil {
			return err
		}
		fields := map[string]string{}
		for _, p := range pairs {
			if fields[strings.ToLower(p.key)], err = r.scalar(p.value); err != nil {
				return err
			}
		}
		if fields["uri"] != "" {
			r.warnf(r.at(element), "variable %s comes from %s and is not read", fields["name"], fields["uri"])
			continue
		}
		r.vars[fields["name"]] = fields["value"]
	}
	return nil
}

// includes reads files that are named relative to this one
// (src/config_format/flb_cf_yaml.c, read_config, 5.1.1).
func (r *yamlReader) includes(node ast.Node) error {
	list, err := r.sequence(node)
	if err != nil {
		return err
	}
	for _, element := range list {
		path, err := r.scalar(element)
		if err != nil {
			return err
		}
		at := r.at(element)
		if path == "" {
			return at.errorf("a file name is missing")
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(r.file), path)
		}
		if err := r.include(path, at, r.yaml); err != nil {
			return err
		}
	}
	return nil
}

func (r *yamlReader) pipeline(node ast.Node) error {
	components, err := r.mapping(node)
	if err != nil {
		return err
	}
	for _, c := range components {
		switch c.key {
		case "inputs", "filters", "outputs", "customs":
		default:
			return c.at.errorf("pipeline has no component %q: allowed are inputs, filters, outputs and customs", c.key)
		}
		if isNull(c.value) {
			continue
		}
		list, err := r.sequence(c.value)
		if err != nil {
			return err
		}
		for _, element := range list {
			if err := r.plugin(sectionKind(c.key), element); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *yamlReader) plugin(kind string, node ast.Node) error {
	s, err := r.section(kind, node)
	if err != nil {
		return err
	}
	r.config.Sections = append(r.config.Sections, s)
	return nil
}

func (r *yamlReader) section(kind string, node ast.Node) (Section, error) {
	s := Section{Kind: kind, File: r.file, Line: r.at(node).line}
	pairs, err := r.mapping(node)
	if err != nil {
		return s, err
	}
	for _, p := range pairs {
		key := TranslateKey(p.key)
		if key == "processors" && kind != "processor" {
			if err := r.processors(&s, p.value); err != nil {
				return s, err
			}
			continue
		}
		property := Property{Key: key, Line: p.at.line}
		switch v := unwrap(p.value).(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			property.Nested = true
			s.Properties = append(s.Properties, property)
		case *ast.SequenceNode:
			for _, element := range v.Values {
				property := property
				property.Line, property.List = r.at(element).line, true
				switch unwrap(element).(type) {
				case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
					property.Nested = true
				default:
					if property.Value, err = r.scalar(element); err != nil {
						return s, err
					}
				}
				s.Properties = append(s.Properties, property)
			}
		default:
			if property.Value, err = r.scalar(p.value); err != nil {
				return s, err
			}
			s.Properties = append(s.Properties, property)
		}
	}
	return s, nil
}

// processors reads those of each signal.
func (r *yamlReader) processors(s *Section, node ast.Node) error {
	signals, err := r.mapping(node)
	if err != nil {
		return err
	}
	for _, signal := range signals {
		list, err := r.sequence(signal.value)
		if err != nil {
			return err
		}
		for _, element := range list {
			p, err := r.section("processor", element)
			if err != nil {
				return err
			}
			p.Signal = strings.ToLower(signal.key)
			s.Processors = append(s.Processors, p)
		}
	}
	return nil
}

func (r *yamlReader) mapping(node ast.Node) ([]pair, error) {
	var values []*ast.MappingValueNode
	switch n := unwrap(node).(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, r.at(node).errorf("a mapping of keys to values is expected here")
	}
	pairs := make([]pair, 0, len(values))
	for _, v := range values {
		key, err := r.scalar(v.Key)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{key: key, at: r.at(v.Key), value: v.Value})
	}
	return pairs, nil
}

func (r *yamlReader) sequence(node ast.Node) ([]ast.Node, error) {
	if n, ok := unwrap(node).(*ast.SequenceNode); ok {
		return n.Values, nil
	}
	return nil, r.at(node).errorf("a list is expected here")
}

// scalar is the text of a scalar as it is written: Fluent Bit gives YAML's
// types no meaning.
func (r *yamlReader) scalar(node ast.Node) (string, error) {
	switch n := unwrap(node).(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		if n.Value == nil {
			return "", nil
		}
		return n.Value.Value, nil
	case *ast.AliasNode, *ast.MergeKeyNode:
		return "", r.at(node).errorf("aliases and merges are not known to Fluent Bit")
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, nil
	case *ast.NullNode:
		if n.Token.Type == token.ImplicitNullType {
			return "", nil
		}
		return n.Token.Value, nil
	default:
		return "", r.at(node).errorf("a single value is expected here")
	}
}

func (r *yamlReader) at(node ast.Node) position {
	at := position{file: r.file}
	if node == nil {
		return at
	}
	if tk := node.GetToken(); tk != nil && tk.Position != nil {
		at.line = tk.Position.Line
	}
	return at
}

// unwrap takes off what Fluent Bit's reader does not look at.
func unwrap(node ast.Node) ast.Node {
	for {
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.TagNode:
			node = n.Value
		case *ast.MappingKeyNode:
			node = n.Value
		default:
			return node
		}
	}
}

func isNull(node ast.Node) bool {
	_, ok := unwrap(node).(*ast.NullNode)
	return ok
}

// TranslateKey turns strict camelCase, wasmPath, into snake_case, as
// flb_cf_key_translate does (src/config_format/flb_config_format.c, 5.1.1).
func TranslateKey(key string) string {
	first, _ := utf8.DecodeRuneInString(key)
	if !unicode.IsLower(first) || strings.Contains(key, "_") {
		return strings.ToLower(key)
	}
	var out strings.Builder
	for _, c := range key {
		if unicode.IsUpper(c) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(c))
	}
	return out.String()
}

// Entry is a key of a YAML mapping, with its value: a text, a list of texts, or a mapping.
type Entry struct {
	Key     string // as it is written
	Line    int
	Value   string
	List    []string
	Entries []Entry
	Kind    EntryKind
}

// EntryKind says what the value of an Entry is.
type EntryKind int

// The kinds. Nothing, as in "key:", is a Scalar too.
const (
	Scalar EntryKind = iota
	List
	Mapping
)

// ReadMapping reads the one YAML mapping that data is; path is for errors, all of which are an *Error. Text is as
// it is written: YAML's types have no meaning.
func ReadMapping(path string, data []byte) ([]Entry, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, yamlError(path, err)
	}
	r := yamlReader{loader: &loader{}, file: path}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, position{file: path}.errorf("one mapping of keys to values is expected")
	}
	return r.entries(file.Docs[0].Body)
}

func (r *yamlReader) entries(node ast.Node) ([]Entry, error) {
	pairs, err := r.mapping(node)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, p := range pairs {
		e := Entry{Key: p.key, Line: p.at.line}
		switch v := unwrap(p.value).(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			e.Kind = Mapping
			e.Entries, err = r.entries(v)
		case *ast.SequenceNode:
			e.Kind = List
			for _, element := range v.Values {
				text, err := r.scalar(element)
				if err != nil {
					return nil, err
				}
				e.List = append(e.List, text)
			}
		default:
			e.Value, err = r.scalar(v)
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

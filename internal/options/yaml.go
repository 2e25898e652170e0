package options

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	goyaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	yamlparser "github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxYAMLDepth bounds what is within each other, and with it the stack that reading takes.
	maxYAMLDepth = 64

	// maxYAMLMarks bounds anchors and tags, of which each may stand before the next.
	maxYAMLMarks = 1000
)

// yamlToJSON makes JSON of a mapping in YAML, in which aliases are what they stand for. It takes at
// most maxConfigBytes of JSON.
func yamlToJSON(content []byte) ([]byte, error) {
	if !utf8.Valid(content) {
		return nil, errors.New("it is not UTF-8")
	}
	tokens := lexer.Tokenize(string(content))
	if err := boundYAML(tokens); err != nil {
		return nil, err
	}
	file, err := yamlparser.Parse(tokens, 0)
	if err != nil {
		return nil, yamlError(err)
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			return nil, fmt.Errorf("line %d: a second document begins", line(doc.Body))
		}
		body = doc.Body
	}
	switch body.(type) {
	case nil:
		return nil, errors.New("it does not hold a YAML mapping, but nothing")
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		return nil, errors.New("it does not hold a YAML mapping")
	}
	w := yamlWriter{anchors: map[string][]byte{}}
	err = w.write(body, maxYAMLDepth)
	return w.out, err
}

func yamlError(err error) error {
	var located goyaml.Error
	if errors.As(err, &located) && located.GetToken() != nil && located.GetToken().Position != nil {
		return fmt.Errorf("it is not valid YAML: line %d: %s", located.GetToken().Position.Line, located.GetMessage())
	}
	return fmt.Errorf("it is not valid YAML: %w", err)
}

func line(node ast.Node) int {
	if tk := node.GetToken(); tk != nil && tk.Position != nil {
		return tk.Position.Line
	}
	return 0
}

// boundYAML refuses what would take the parser, which calls itself, too deep. By indentation alone
// 1 MiB goes 1,448 deep.
func boundYAML(tokens token.Tokens) error {
	flow, marks, entries, last := 0, 0, 0, 0
	for _, tk := range tokens {
		if tk.Position != nil && tk.Position.Line != last {
			entries, last = 0, tk.Position.Line
		}
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			entries++
		case token.AnchorType, token.TagType:
			marks++
		}
		switch {
		case flow > maxYAMLDepth || entries > maxYAMLDepth:
			return fmt.Errorf("line %d: it nests more than %d deep", last, maxYAMLDepth)
		case marks > maxYAMLMarks:
			return fmt.Errorf("line %d: it has more than %d anchors and tags", last, maxYAMLMarks)
		}
	}
	return nil
}

type yamlWriter struct {
	out     []byte
	anchors map[string][]byte // what they stand for, as JSON
}

// add appends JSON, as far as there is room.
func (w *yamlWriter) add(node ast.Node, text []byte) error {
	if len(w.out)+len(text) > maxConfigBytes {
		return fmt.Errorf("line %d: what it stands for has more than %d bytes", line(node), maxConfigBytes)
	}
	w.out = append(w.out, text...)
	return nil
}

func (w *yamlWriter) addByte(node ast.Node, c byte) error { return w.add(node, []byte{c}) }

func (w *yamlWriter) write(node ast.Node, depth int) error {
	if depth == 0 {
		return fmt.Errorf("line %d: it nests more than %d deep", line(node), maxYAMLDepth)
	}
	switch n := node.(type) {
	case *ast.MappingNode:
		return w.mapping(node, n.Values, depth)
	case *ast.MappingValueNode:
		return w.mapping(node, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		return w.sequence(n, depth)
	case *ast.AnchorNode:
		from := len(w.out)
		if err := w.write(n.Value, depth-1); err != nil {
			return err
		}
		w.anchors[n.Name.String()] = w.out[from:len(w.out):len(w.out)]
		return nil
	case *ast.AliasNode:
		text, ok := w.anchors[n.Value.String()]
		if !ok {
			return fmt.Errorf("line %d: *%s is not defined before", line(node), n.Value.String())
		}
		return w.add(node, text)
	case *ast.StringNode:
		return w.text(node, n.Value)
	case *ast.LiteralNode:
		if n.Value == nil {
			return w.text(node, "")
		}
		return w.text(node, n.Value.Value)
	case *ast.NullNode:
		return w.add(node, []byte("null"))
	case *ast.BoolNode:
		return w.value(node, n.Value)
	case *ast.IntegerNode:
		return w.number(node, n.Token.Value, n.Value)
	case *ast.FloatNode:
		return w.number(node, n.Token.Value, n.Value)
	case *ast.TagNode:
		return fmt.Errorf("line %d: tags are not known here: put a value in quotes to make it text", line(node))
	default:
		return fmt.Errorf("line %d: JSON has no such value", line(node))
	}
}

// number writes a number as it is written, if JSON has such a one.
func (w *yamlWriter) number(node ast.Node, text string, value any) error {
	if json.Valid([]byte(text)) {
		return w.add(node, []byte(text))
	}
	return w.value(node, value)
}

func (w *yamlWriter) text(node ast.Node, text string) error { return w.value(node, text) }

func (w *yamlWriter) value(node ast.Node, value any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return fmt.Errorf("line %d: %w", line(node), err)
	}
	return w.add(node, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

func (w *yamlWriter) mapping(node ast.Node, values []*ast.MappingValueNode, depth int) error {
	before := byte('{')
	if len(values) == 0 {
		return w.add(node, []byte("{}"))
	}
	for _, v := range values {
		if err := w.addByte(v, before); err != nil {
			return err
		}
		before = ','
		if err := w.key(v.Key); err != nil {
			return err
		}
		if err := w.addByte(v, ':'); err != nil {
			return err
		}
		if err := w.write(v.Value, depth-1); err != nil {
			return err
		}
	}
	return w.addByte(node, '}')
}

func (w *yamlWriter) key(key ast.MapKeyNode) error {
	switch n := key.(type) {
	case *ast.StringNode:
		return w.text(n, n.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return w.text(n, n.GetToken().Value)
	case *ast.MergeKeyNode:
		return fmt.Errorf("line %d: merges (<<) are not known here", line(n))
	default:
		return fmt.Errorf("line %d: a key must be text", line(n))
	}
}

func (w *yamlWriter) sequence(n *ast.SequenceNode, depth int) error {
	before := byte('[')
	if len(n.Values) == 0 {
		return w.add(n, []byte("[]"))
	}
	for _, v := range n.Values {
		if err := w.addByte(n, before); err != nil {
			return err
		}
		before = ','
		if err := w.write(v, depth-1); err != nil {
			return err
		}
	}
	return w.addByte(n, ']')
}

package flb_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/flbtest"
)

// edit makes an edit of the table that the SDKs share: of a text with dots, or of a list of keys.
func edit(e *flb.Event, op string, path any, value any) {
	text, _ := path.(string)
	steps, literal := path.([]any)
	for i, step := range steps {
		if n, ok := step.(float64); ok {
			steps[i] = int(n)
		}
	}
	switch {
	case op == "set" && literal:
		e.Body.SetAt(steps, value)
	case op == "remove" && literal:
		e.Body.RemoveAt(steps...)
	case op == "set":
		e.Body.Set(text, value)
	case op == "remove":
		e.Body.Remove(text)
	case op == "put":
		e.Body.Put(text, value)
	case op == "add":
		e.Body.Add(text, value)
	case op == "replace":
		e.Body.Replace(value)
	case op == "mask":
		e.Body.RewriteStrings(func(s string) (string, bool) { return "***", s == "secret" })
	case op == "split":
		e.Split(text)
	default:
		panic(op)
	}
}

func TestPathsLeadWhereTheTableSays(t *testing.T) {
	text, err := os.ReadFile("../paths.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Cases []struct {
			Doc   json.RawMessage
			Edits [][]json.RawMessage
			Want  json.RawMessage
			Error bool
		}
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	for _, c := range table.Cases {
		want, edited := []string{}, ""
		if len(c.Want) > 0 && c.Want[0] == '[' {
			var list []json.RawMessage
			if err := json.Unmarshal(c.Want, &list); err != nil {
				t.Fatal(err)
			}
			for _, w := range list {
				want = append(want, string(w))
			}
		} else if !c.Error {
			want = append(want, string(c.Want))
		}
		// The values of the edits come as an event's metadata, so that they are the host's.
		var values []string
		for i, step := range c.Edits {
			if len(step) > 2 {
				values = append(values, strconv.Itoa(i)+`":`+string(step[2]))
			}
		}
		metadata := "{}"
		if values != nil {
			metadata = `{"` + strings.Join(values, `,"`) + "}"
		}
		out := new(flbtest.Host).Run(func(e *flb.Event) error {
			for i, step := range c.Edits {
				var op string
				var path any
				if json.Unmarshal(step[0], &op) != nil || json.Unmarshal(step[1], &path) != nil {
					panic("the table")
				}
				edit(e, op, path, e.Metadata.Get(strconv.Itoa(i)))
			}
			if len(c.Want) > 0 && c.Want[0] == '{' {
				edited = e.Body.Edited().Value().MessagePack()
				e.Emit(e.Body.Edited())
			}
			return nil
		}, flbtest.Record{Body: string(c.Doc), Metadata: metadata})
		if edited != "" {
			want = append(want, want[0])
		}
		if got := out.Bodies(); strings.Join(got, " ") != strings.Join(want, " ") || len(out.Failures) > 0 != c.Error {
			t.Errorf("%s %s\ngot  %s %v\nwant %s", c.Doc, c.Edits, got, out.Failures, want)
		}
	}
	if len(table.Cases) < 80 {
		t.Error(len(table.Cases))
	}
}

// Of several members of one key set leaves one, and remove none, as in the part itself.
func TestKeysThatAreThereTwice(t *testing.T) {
	body := `{"a":{"k":1,"l":2,"k":3}}`
	equal(t, run(t, func(e *flb.Event) { e.Body.Set("a.k", 9) }, body), []string{`{"a":{"k":9,"l":2}}`})
	equal(t, run(t, func(e *flb.Event) { e.Body.Remove("a.k") }, body), []string{`{"a":{"l":2}}`})
}

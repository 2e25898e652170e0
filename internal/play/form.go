package play

import (
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

const (
	wasmPath     = "wasm_path"
	functionName = "function_name"
)

// fixed are the options that name files or let machine code run. The page can't change them: who opens a link of
// somebody else gives their files to nobody.
var fixed = []string{wasmPath, "accessible_paths", "config_file", "table.", "cache_dir", "allow_precompiled"}

// isFixed reports whether a property belongs to an option that the page can't change.
func isFixed(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(fixed, func(name string) bool {
		return key == name || strings.HasSuffix(name, ".") && strings.HasPrefix(key, name)
	})
}

// row is an option as the page's form has it.
type row struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Default  string   `json:"default"`
	Values   []string `json:"values,omitempty"`
	Open     bool     `json:"open,omitempty"` // it may be more than these
	Help     string   `json:"help"`
	Multiple bool     `json:"multiple,omitempty"`
	Prefix   bool     `json:"prefix,omitempty"` // the name goes on as the user likes
	Fixed    bool     `json:"fixed,omitempty"`  // it is shown, and can't be changed
}

// form is all options of the filter.
func form() (rows []row) {
	for _, o := range options.Table {
		rows = append(rows, row{
			Name: o.Name, Type: o.Type.String(), Default: o.Default, Values: o.Values, Open: o.Open, Help: o.Help,
			Multiple: o.Multiple, Prefix: o.Prefix != "", Fixed: isFixed(o.Name),
		})
	}
	return rows
}

// spec is the filter with these options of the page, and those of the configuration that the page can't change.
// The name of the function is "" if none is set.
func (c Config) spec(page []options.Property, level hostlog.Level) (trial.Spec, error) {
	section := fbconf.Section{Name: trial.PluginNames[0], Properties: []fbconf.Property{{Key: wasmPath, Value: c.Module}}}
	add := func(key, value string) {
		section.Properties = append(section.Properties, fbconf.Property{Key: strings.ToLower(key), Value: value})
	}
	for _, p := range c.Properties {
		if isFixed(p.Key) {
			add(p.Key, p.Value)
		}
	}
	hasFunction := false
	for _, p := range page {
		if isFixed(p.Key) {
			return trial.Spec{}, &options.Error{Option: p.Key, Value: p.Value, Want: "it is given to flb-wasmtime play when it is started, and not on its page"}
		}
		if strings.EqualFold(p.Key, functionName) {
			hasFunction = p.Value != ""
			if !hasFunction {
				continue
			}
		}
		add(p.Key, p.Value)
	}
	if !hasFunction {
		add(functionName, "?") // it must be set
	}
	sp, err := trial.ReadSection(&section, trial.OnlyName, level)
	if err == nil && !hasFunction {
		sp.Options.FunctionName = ""
	}
	return sp, err
}

package options

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
)

// maxConfigBytes bounds config_file, and all keys and values together.
const maxConfigBytes = 1 << 20

// configSet reads the configuration of the module that options hold which begin with the prefix.
func (p *parser) configSet(prefix string) (list []Property) {
	for _, set := range p.prefixed(prefix) {
		if strings.IndexByte(set.Value, 0) >= 0 {
			p.fail(set.Key, set.Value, "a value can't hold a zero byte")
		}
		list = append(list, Property{lower(set.Key[len(prefix):]), set.Value})
	}
	return list
}

// readConfig makes Config of ConfigSet and the members of the object in ConfigFile. Keys are in lower
// case, for Fluent Bit makes them so in YAML, and in order; the value of a member is its text, or JSON if
// it is not a string.
func (o *Options) readConfig() *Error {
	values := make(map[string]string)
	if o.ConfigFile != "" {
		members, err := readConfigFile(o.ConfigFile)
		if err != nil {
			return &Error{"config_file", o.ConfigFile, err.Error()}
		}
		values = members
	}
	for _, set := range o.ConfigSet {
		values[set.Key] = set.Value
	}
	o.Config = nil
	if len(values) == 0 {
		return nil
	}
	size := 0
	config := make([]Property, 0, len(values))
	for key, value := range values {
		size += len(key) + len(value)
		config = append(config, Property{key, value})
	}
	if size > maxConfigBytes {
		return &Error{"config.KEY", fmt.Sprintf("%d bytes", size), fmt.Sprintf("keys and values may have %d bytes in all", maxConfigBytes)}
	}
	slices.SortFunc(config, func(a, b Property) int { return strings.Compare(a.Key, b.Key) })
	o.Config = config
	return nil
}

// WithConfigFile returns the options with what stands in config_file now. The error is an *Error.
func (o Options) WithConfigFile() (Options, error) {
	if err := o.readConfig(); err != nil {
		return Options{}, err
	}
	return o, nil
}

// prefixed returns the options that begin with the prefix, in order, each with more behind it.
func (p *parser) prefixed(prefix string) (list []Property) {
	for _, set := range p.source.all {
		switch {
		case len(set.Key) < len(prefix) || !strings.EqualFold(set.Key[:len(prefix)], prefix):
		case len(set.Key) == len(prefix):
			o := find(prefix)
			word, _, _ := strings.Cut(strings.ToLower(o.Prefix), "=")
			p.fail(set.Key, set.Value, fmt.Sprintf("a %s is missing after the dot: %s", word, o.Label()))
		default:
			list = append(list, set)
		}
	}
	return list
}

// lower makes ASCII lower case, as Fluent Bit does, and host functions that look for a key.
func lower(key string) string {
	b := []byte(key)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// readConfigFile returns the members of the object in a JSON file, or of the mapping in a YAML file,
// by keys in lower case.
func readConfigFile(path string) (map[string]string, error) {
	content, err := regular.Read(path, maxConfigBytes)
	if err != nil {
		return nil, fmt.Errorf("it can't be read: %w", err)
	}
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".yaml" || ext == ".yml" {
		if content, err = yamlToJSON(content); err != nil {
			return nil, err
		}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(content, &members); err != nil {
		return nil, fmt.Errorf("it does not hold a JSON object: %w", err)
	}
	if members == nil {
		return nil, fmt.Errorf("it does not hold a JSON object, but null")
	}
	values := make(map[string]string, len(members))
	for name, raw := range members {
		key := lower(name)
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("the key %q is there twice, in upper and lower case", key)
		}
		if key == "" {
			return nil, fmt.Errorf("a key is empty")
		}
		if string(raw) == "null" {
			continue // it is not set
		}
		var text string
		if json.Unmarshal(raw, &text) != nil {
			var compact bytes.Buffer
			if err := json.Compact(&compact, raw); err != nil {
				return nil, err
			}
			text = compact.String()
		}
		values[key] = text
	}
	return values, nil
}

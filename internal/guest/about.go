package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// aboutSection is the custom section in which a module says what it is: lines KEY=VALUE
// (docs/abi.md). Nothing that the plugin does depends on it.
const aboutSection = "flb_module"

// What is read of all such sections of a module together.
const (
	maxAboutBytes = 16 << 10
	maxAboutLines = 100
	maxAboutValue = 1024
)

var aboutKey = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,63}$`)

// readAbout returns what a module says of itself, and how many lines say nothing that is allowed.
// Of lines with one key the last one counts, and an empty value is as none. Sections that can't be read have none.
func readAbout(wasm []byte) (about map[string]string, ignored int) {
	var text []byte
	customSections(wasm, aboutSection, func(content []byte) {
		if len(text) <= maxAboutBytes {
			text = append(append(text, content[:min(len(content), maxAboutBytes+1)]...), '\n')
		}
	})
	if len(text) > maxAboutBytes+1 {
		ignored++
		text = text[:maxAboutBytes]
		text = text[:bytes.LastIndexByte(text, '\n')+1] // the last one is cut
	}
	lines := 0
	for line := range bytes.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == 0 }) {
		key, value, ok := strings.Cut(strings.TrimSuffix(string(line), "\r"), "=")
		if lines++; !ok || lines > maxAboutLines || checkAbout(key, value) != nil {
			ignored++
			continue
		}
		if about == nil {
			about = map[string]string{}
		}
		about[key] = value
	}
	maps.DeleteFunc(about, func(_, value string) bool { return value == "" })
	return about, ignored
}

func checkAbout(key, value string) error {
	switch {
	case !aboutKey.MatchString(key):
		return fmt.Errorf("%s is not a key: give lower-case letters, digits, and . _ - after the first letter, 64 at most", hostlog.Quote(key, 80))
	case len(value) > maxAboutValue:
		return fmt.Errorf("the value of %s has %d bytes: at most %d are allowed", key, len(value), maxAboutValue)
	case hostlog.Printable(value, len(value)) != value:
		return fmt.Errorf("the value of %s is not one line of text that can be printed: %s", key, hostlog.Quote(value, 80))
	}
	return nil
}

// Annotate returns a module that says this of itself, besides what it has said before; an empty value
// takes a key away. The section stands at the end, where nothing else moves by it.
func Annotate(path string, content []byte, set map[string]string) ([]byte, error) {
	if _, err := moduleOf(path, content); err != nil {
		return nil, err
	}
	about, _ := readAbout(content)
	if about == nil {
		about = map[string]string{}
	}
	for key, value := range set {
		if err := checkAbout(key, value); err != nil {
			return nil, err
		}
		about[key] = value
	}
	maps.DeleteFunc(about, func(_, value string) bool { return value == "" })
	out := slices.Clone(content[:wasmHeaderBytes])
	err := sections(content, func(id byte, whole, content []byte) error {
		r := wasmReader{rest: content}
		if id != sectionCustom || r.name() != aboutSection {
			out = append(out, whole...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(about)) {
		fmt.Fprintf(&text, "%s=%s\n", key, about[key])
	}
	if text.Len() > maxAboutBytes || len(about) > maxAboutLines {
		return nil, fmt.Errorf("%d bytes in %d lines are too much: at most %d bytes and %d lines are read", text.Len(), len(about), maxAboutBytes, maxAboutLines)
	}
	if text.Len() == 0 {
		return out, nil
	}
	section := append(binary.AppendUvarint(nil, uint64(len(aboutSection))), aboutSection+text.String()...)
	out = append(binary.AppendUvarint(append(out, sectionCustom), uint64(len(section))), section...)
	return out, nil
}

// moduleOf checks that a file is a binary module, and valid, and returns it.
func moduleOf(path string, content []byte) ([]byte, error) {
	switch wasm, err := toBinary(path, content); {
	case isPrecompiled(content):
		return nil, fmt.Errorf("%s is machine code: give the .wasm file that it was compiled from", path)
	case err != nil:
		return nil, err
	case !bytes.HasPrefix(content, []byte("\x00asm")):
		return nil, fmt.Errorf("%s is WebAssembly text: give the binary module (wat2wasm makes one)", path)
	default:
		return wasm, validate(path, wasm)
	}
}

// CheckModule says why a file is not a binary module that the plugin can run, nil if it is one.
// Nothing of it is compiled or run.
func CheckModule(path string, content []byte) error {
	_, err := moduleOf(path, content)
	return err
}

// Producer is a part of the section "producers", in which toolchains say what they are.
type Producer struct {
	Field   string `json:"field"` // language, processed-by, sdk
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

const maxProducers = 64

// readProducers returns what toolchains say; nothing if that can't be read.
func readProducers(wasm []byte) (list []Producer) {
	customSections(wasm, "producers", func(content []byte) {
		r := wasmReader{rest: content}
		for fields := r.u32(); fields > 0 && !r.failed; fields-- {
			field := r.name()
			for values := r.u32(); values > 0 && !r.failed; values-- {
				p := Producer{Field: field, Name: r.name(), Version: r.name()}
				if !r.failed && len(list) < maxProducers {
					list = append(list, p)
				}
			}
		}
	})
	return list
}

var errEnough = errors.New("enough")

// customSections calls f with the content of each custom section of a name, up to the first section
// that can't be read.
func customSections(wasm []byte, name string, f func(content []byte)) {
	_ = sections(wasm, func(id byte, _, content []byte) error {
		r := wasmReader{rest: content}
		if id != sectionCustom || r.name() != name {
			return nil
		}
		if r.failed {
			return errEnough
		}
		f(r.rest)
		return nil
	})
}

package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
)

// inspected is what inspect says.
type inspected struct {
	Module      string            `json:"module"`           // a path, or a reference by digest
	Digest      string            `json:"digest,omitempty"` // of the manifest
	Annotations map[string]string `json:"annotations,omitempty"`
	guest.Description
}

func newInspect() *cobra.Command {
	var f registryFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect {REF | FILE}",
		Short: "Say what a module is, without running it",
		Long: `Say what the bytes of a module tell, in a registry or a file: its hash, by which ABI it is
called, what it exports and imports, which options it needs, what it was built by, and what
it says of itself in its section flb_module (see annotate). Nothing of it is compiled or
run: check does that, with the options that it is to have.

` + loginText,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("inspect takes one module: flb-wasmtime inspect redact.wasm")
			}
			var r inspected
			var content []byte
			if isFile(args[0]) {
				var err error
				if content, err = readModule(args[0]); err != nil {
					return err
				}
				r.Module = args[0]
			} else {
				from, err := f.open(cmd, args[0])
				if err != nil {
					return err
				}
				defer from.close()
				artifact, err := from.resolve()
				if err == nil {
					content, err = from.fetch(artifact)
				}
				if err != nil {
					return failed(cmd, err)
				}
				r.Module, r.Digest, r.Annotations = from.reference.At(artifact).String(), artifact.Digest, artifact.Annotations
			}
			var err error
			if r.Description, err = guest.Describe(r.Module, content); err != nil {
				return failed(cmd, err)
			}
			if asJSON {
				text, err := json.Marshal(r)
				if err != nil {
					return err
				}
				return write(cmd.OutOrStdout(), append(printableJSON(text), '\n'))
			}
			return write(cmd.OutOrStdout(), r.table())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&asJSON, "json", false, "Print one JSON object")
	f.add(cmd)
	cmd.ValidArgsFunction = completeModule
	return cmd
}

// maxAnnotations bounds how many are shown.
const maxAnnotations = 100

// table has a label and what it stands for in each line.
func (r *inspected) table() []byte {
	var text strings.Builder
	row := func(label string, lines ...string) {
		for _, line := range lines {
			fmt.Fprintf(&text, "%-15s%s\n", label, hostlog.Line(line))
			label = ""
		}
	}
	pairs := func(label string, m map[string]string) {
		keys := slices.Sorted(maps.Keys(m))
		for i, key := range keys[:min(len(keys), maxAnnotations)] {
			if i > 0 {
				label = ""
			}
			row(label, key+"="+m[key])
		}
		if more := len(keys) - maxAnnotations; more > 0 {
			row("", fmt.Sprintf("and %d more", more))
		}
	}
	row("module", r.Module)
	row("sha256", r.SHA256)
	row("size", fmt.Sprintf("%d bytes", r.Bytes))
	if c := r.Compiled; c != nil {
		row("compiled for", fmt.Sprintf("%s, wasmtime %s, CPU %s", c.Target, c.Engine, strings.Join(c.CPU, ",")), "from sha256 "+c.Module)
	}
	row("ABI", r.ABI)
	row("functions", r.Functions...)
	row("needs", r.Needs...)
	row("uses", r.Uses...)
	pairs("says", r.About)
	for i, p := range r.Producers {
		row([]string{"built by", ""}[min(i, 1)], strings.TrimSpace(p.Field+": "+p.Name+" "+p.Version))
	}
	row("exports", r.Exports...)
	row("imports", r.Imports...)
	pairs("annotations", r.Annotations)
	row("problems", r.Problems...)
	row("notes", r.Notes...)
	return []byte(text.String())
}

func newAnnotate() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "annotate FILE KEY=VALUE ... [-o FILE]",
		Short: "Write into a module what it is",
		Long: `Write into a module's section flb_module what it is, for inspect and push; what is said there
already stays, unless it has the same key. KEY= takes one away. Keys are lower-case words;
these have a meaning: name, version, description, source (where the sources are), revision,
license, authors, language, sdk, sdk_version, abi, grants (options that it has to be given).

    flb-wasmtime annotate redact.wasm source=https://git.example/redact version=1.0.0

The code of the module is not changed. Its hash is another: annotate before you sign.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return errors.New("annotate takes a module and what it is: flb-wasmtime annotate redact.wasm version=1.0.0")
			}
			set, err := keyValues("annotate", args[1:])
			if err != nil {
				return err
			}
			module, err := readModule(args[0])
			if err != nil {
				return err
			}
			annotated, err := guest.Annotate(args[0], module, set)
			if err != nil {
				return err
			}
			if out == "" {
				out = args[0]
			}
			// What watches the file is not to take it for another one.
			if out != args[0] || !bytes.Equal(annotated, module) {
				if err := regular.Replace(out, annotated); err != nil {
					return err
				}
			}
			return write(cmd.OutOrStdout(), fmt.Appendf(nil, "%s: sha256:%s\n", filepath.Clean(out), sumOf(annotated)))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&out, "output", "o", "", "File to write (default: the module itself)")
	completeFiles(cmd, "output", ".wasm")
	cmd.ValidArgsFunction = completeModule
	return cmd
}

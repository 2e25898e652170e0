package command

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/golden"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// defaultCases is where cases are if nothing says so.
const defaultCases = "cases"

type testFlags struct {
	update bool
	junit  string
	quick  bool
	filter filterFlags
}

func newTest() *cobra.Command {
	f := testFlags{filter: filterFlags{}}
	cmd := &cobra.Command{
		Use:   "test [--update] [--junit FILE] [DIR|FILE ...]",
		Short: "Compare what modules make of events with what is expected",
		Long: `Run cases: YAML files that say which filter is to make what of which events. Of a
directory, cases if none is given, all .yaml and .yml files in it and below are taken.

  filter:                       # options, as in a Fluent Bit configuration
    wasm_path: ../redact.wasm   # relative paths count from this file
    config.mode: strict
  input: |
    {"user":"bob@example.com"}
    [["2026-01-02T15:04:05.678Z", {"level":"warn"}], {"user":"eve@example.com"}]
  output: |
    {"user":"***"}
    [["2026-01-02T15:04:05.678Z", {"level":"warn"}], {"user":"***"}]

A line of input and output is an event: its body, an object, or time, metadata and
body; time null in the output is any. ["tag", "app.db"] begins a chunk with that tag,
[["group", METADATA], BODY] and ["end"] stand around the events of a group, and after
["tick"] the filters have been called to tick, as they are at the end too.

Further keys:

  config         a Fluent Bit configuration in the place of filter: its filters called
                 wasmtime or wasm run in their order where they match the tag
  skip           filters of other plugins in it that match and are left out; others
                 that match are an error
  tag, time      of events that have none (app.log, 2026-01-01T00:00:00Z)
  log_level      of the filters (info)
  chunk_records  most events in a chunk
  input_file     a file of such lines (.ndjson, .jsonl, .json), or a raw chunk
  output_file    a file of such lines
  emitted        what comes out under other tags: lines by tag (nothing)
  log            what modules log, and warnings and errors of the filters: level and a
                 part of the text, such as "warn guest: no user"
  metrics        of the modules, as Prometheus has them
  failed         how many records fail (0)
  errors         how many records report an error, by its code
  start_error    why the filters don't start: a part of the text

common.yaml has keys, up to chunk_records, that the cases of its directory share.

Numbers are compared as MessagePack has them: 1 is an integer and 1.0 a float. The
order of members means nothing. What JSON has no form for is written as {"$bin":
BASE64}, {"$str": BASE64} (not UTF-8), {"$ext": [TYPE, BASE64]}, {"$float": "NaN"} and
{"$map": [[KEY, VALUE], ...]}.

Options of the filter that are given as flags take the place of those of the cases:
--wasm-path FILE tries them with another module.

With --update the files are made to say what came out: output, emitted, failed and
errors, and log and metrics where they are there.

The exit code is 0 if all cases passed, 1 if some failed, and 2 if some could not be
run.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&f.update, "update", false, "Write what came out into the cases, as what is expected")
	flags.StringVar(&f.junit, "junit", "", "Write the results to this file as JUnit's XML")
	addQuick(cmd, &f.quick)
	f.filter.add(cmd)
	completeFiles(cmd, "junit", ".xml")
	cmd.ValidArgsFunction = cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
	return cmd
}

func (f *testFlags) run(cmd *cobra.Command, args []string) error {
	stdout, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
	if len(args) == 0 {
		if _, err := os.Stat(defaultCases); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no directory %s here: name a directory or files of cases; flb-wasmtime new LANG NAME begins a filter "+
				"that has some, and in a case that has filter and input alone --update writes what comes out (flb-wasmtime test --help)", defaultCases)
		}
		args = []string{defaultCases}
	}
	for _, path := range args {
		if slices.Contains(moduleSuffixes, filepath.Ext(path)) {
			return fmt.Errorf("%s is a module, and not a case: name a directory or files of cases; --wasm-path tries them with this module", path)
		}
	}
	paths, err := golden.Find(args)
	if err != nil {
		return err
	}
	r := golden.Runner{Options: f.filter.properties(), Load: func(sp *trial.Spec) (*guest.Module, error) {
		return loading(stderr, sp, f.quick, "function_name")
	}}
	defer r.Close()
	palette := paletteOf(stdout)
	var results []*golden.Result
	failed, broken := 0, 0
	for _, path := range paths {
		result := r.Run(path)
		word, text := palette.Good("ok    "), ""
		if f.update && (result.Err == nil && len(result.Problems) > 0 || result.Updatable()) {
			changed, err := result.Update()
			if err == nil && changed {
				word = palette.Good("wrote ")
			}
			result.Problems, result.Err = nil, err
		}
		switch {
		case result.Err != nil:
			broken++
			word, text = palette.Bad("ERROR "), "  "+hostlog.Line(result.Err.Error())+"\n"
		case len(result.Problems) > 0:
			failed++
			word, text = palette.Bad("FAIL  "), result.Text(palette)
		}
		line := fmt.Sprintf("%s%s (%s)\n%s", word, hostlog.Line(path), result.Elapsed.Round(time.Millisecond), text)
		if err := write(stdout, []byte(line)); err != nil {
			return err
		}
		results = append(results, result)
	}
	summary := fmt.Sprintf("%d passed, %d failed, %d could not be run\n", len(paths)-failed-broken, failed, broken)
	if err := write(stdout, []byte(summary)); err != nil {
		return err
	}
	if f.junit != "" {
		var b bytes.Buffer
		if err := golden.WriteJUnit(&b, results); err != nil {
			return err
		}
		if err := os.WriteFile(f.junit, b.Bytes(), 0o666); err != nil {
			return fmt.Errorf("--junit: %w", err)
		}
	}
	switch {
	case broken > 0:
		return errBroken
	case failed > 0:
		return errFailed
	}
	return nil
}

// errBroken ends the program with exitUsage. What could not be run has been said before.
var errBroken = errors.New("not run")

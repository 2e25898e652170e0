package command

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// defaultChunkRecords is about what Fluent Bit's tail hands on at a time, 32 KiB,
// in records of 400 bytes.
const defaultChunkRecords = 75

const (
	formatNDJSON  = "ndjson"
	formatMsgpack = "msgpack"
)

type runFlags struct {
	filter       filterFlags
	config       string
	tag          string
	input        string
	output       string
	onlyTag      string
	chunkRecords int
	time         string
	logLevel     string
	metrics      string
	quiet        bool
	diff         bool
	watch        bool
	quick        bool
	signal       string
	files        []string // that decide what is run; they are added to
	watched      []string // files of the run before
}

func newRun() *cobra.Command {
	f := runFlags{filter: filterFlags{}}
	cmd := &cobra.Command{
		Use:   "run {FILE | --config FILE} [input ...]",
		Short: "Run records through the filter",
		Long: `Run records through the filter, as Fluent Bit would, and write what is left of
them to standard output.

The filter is set up by flags, which are its options, or by a configuration of
Fluent Bit, classic or YAML. Without --config and --wasm-path the first argument is
the module. Without --function-name the function is the only one of the module that
could be called.

Of a configuration the filters in it that are called wasmtime, or wasm
as Fluent Bit's own, are run in their order on the tags that they match; before
them the processors of these names that inputs have in YAML. Other filters are
not run, and named on standard error. Inputs give their tags and outputs nothing.
A Match_Regex is an expression of .NET here, which differs little from Fluent Bit's.

Input is read from the files, or from standard input if none or - is given.
As ndjson it is one JSON object a line; blank lines are skipped, and a line that
is something else is passed through as it is, which is a failure. As msgpack it
is events one after the other, such as a chunk holds them, read to the end
before anything is run. Written as ndjson, records lose their time and metadata.

What a filter emits under another tag is written with it: as ndjson, a list of the
tag, the body, and the metadata if there is some. --only-tag writes the records of one
tag, without it; msgpack, which has no tags, needs that. With --config they go through
the filters that match their tag first, as in Fluent Bit; what would go in a circle
stays in its chunk. A module that exports flb_tick is called every tick_interval, also
while nothing comes, and once at the end.

Records go through the filter in chunks. Unless the input is a regular file, a
chunk is not waited for: it ends where the input has nothing more at hand.

With --diff each record runs in a chunk of its own, and what is written is where it
differs, as a record accessor names the place: what was there after -, what is there
after +. Records that stay as they are are left out. One that goes under another tag
alone is routed.

With --watch everything is run again when the module, a table, the configuration or an
input changes, until the command is ended. After the first time it says how the output
differs from the one before. Modules are compiled quickly, unless --quick=false.

With --signal each input is an OTLP request of metrics or traces, as a file of protocol
buffers, or of JSON if its name ends in .json, and goes through the module as through a
processor of Fluent Bit that loses nothing of it. What is left is written as protocol
buffers, or with --output-format json to be read.

The exit code is 0 if all went well, 1 if records failed, and 2 if nothing could
be run.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.filter.add(cmd)
	flags.BoolVar(&f.diff, "diff", false, "Write how each record that has changed differs, and which are dropped or added")
	flags.BoolVar(&f.watch, "watch", false, "Run again when a file changes, and write how the output differs")
	addQuick(cmd, &f.quick)
	flags.StringVar(&f.config, "config", "", "Take the filters of this Fluent Bit configuration: YAML if it ends in .yaml or .yml, else classic")
	flags.StringVar(&f.tag, "tag", "", "Tag of the records (default: that of the configuration's first input, or "+trial.DefaultTag+")")
	flags.StringVar(&f.input, "input-format", formatNDJSON, "Format of the input: ndjson or msgpack")
	flags.StringVar(&f.output, "output-format", formatNDJSON, "Format of the output: ndjson or msgpack; with --signal pb, which is the default then, or json")
	flags.StringVar(&f.signal, "signal", "", "Run OTLP requests instead of records: of metrics or of traces")
	flags.StringVar(&f.onlyTag, "only-tag", "", "Write only records with such a tag (* stands for anything), those that filters emit under it too, and each as if it had none")
	flags.IntVar(&f.chunkRecords, "chunk-records", defaultChunkRecords, "Most records in a chunk")
	flags.StringVar(&f.time, "time", "", "Time of records read from ndjson, such as 2026-01-02T15:04:05.678Z (default: now)")
	flags.StringVar(&f.logLevel, "log-level", "", "Level of the filters' log: "+strings.Join(trial.LevelNames, ", ")+" (default: the configuration's, or info)")
	flags.StringVar(&f.metrics, "metrics", "", "Write the modules' metrics to this file at the end, in Prometheus' text format; - is standard error")
	flags.BoolVar(&f.quiet, "quiet", false, "Leave the summary out")
	completeConfigurations(cmd)
	completeWords(cmd, "input-format", formatNDJSON, formatMsgpack)
	completeWords(cmd, "output-format", formatNDJSON, formatMsgpack, formatProtobuf, formatJSON)
	completeWords(cmd, "signal", "metrics", "traces")
	completeWords(cmd, "log-level", trial.LevelNames...)
	cmd.ValidArgsFunction = completeModule
	return cmd
}

func (f *runFlags) run(cmd *cobra.Command, args []string) (err error) {
	if cmd.Flags().Changed("signal") {
		return f.runPayloads(cmd, args)
	}
	if !cmd.Flags().Changed("config") {
		if args, err = f.filter.takeModule(args); err != nil {
			return err
		}
	}
	if err := checkFormat("--input-format", f.input); err != nil {
		return err
	}
	if err := checkFormat("--output-format", f.output); err != nil {
		return err
	}
	if f.chunkRecords < 1 {
		return fmt.Errorf("--chunk-records: invalid value %d: allowed are numbers from 1", f.chunkRecords)
	}
	for _, flag := range []string{"output-format", "chunk-records", "only-tag"} {
		if f.diff && cmd.Flags().Changed(flag) {
			return fmt.Errorf("--diff: it writes text, of records one by one: leave --%s out", flag)
		}
	}
	if f.watch {
		return f.runAgain(cmd, args)
	}
	conf, closeModules, err := f.configuration(cmd)
	if err != nil {
		return err
	}
	defer closeModules()
	return f.runOnce(cmd, conf, args, cmd.OutOrStdout())
}

// runOnce runs the inputs through the filters.
func (f *runFlags) runOnce(cmd *cobra.Command, conf *trial.Configuration, args []string, stdout io.Writer) error {
	stderr := cmd.ErrOrStderr()
	clock, err := f.clock()
	if err != nil {
		return err
	}
	inputs, err := openInputs(args, cmd.InOrStdin())
	if err != nil {
		return err
	}
	defer inputs.close()
	for _, note := range conf.Notes {
		say(stderr, "%s", note)
	}
	p := &pipeline{
		tag:          conf.Tag,
		chunkRecords: f.chunkRecords,
		now:          clock,
		stdout:       stdout,
		stderr:       stderr,
		msgpack:      f.output == formatMsgpack,
		onlyTag:      f.onlyTag,
		follow:       f.config != "",
		diff:         f.diff,
		palette:      paletteOf(cmd.OutOrStdout()),
	}
	if err := p.start(conf.Specs); err != nil {
		return err
	}
	err = p.readAll(inputs, f.input == formatMsgpack)
	if err == nil && p.tickInterval > 0 {
		err = p.tick(true)
	}
	if err == nil && f.metrics != "" {
		err = p.writeMetrics(f.metrics, stderr)
	}
	p.trial.Close()
	if err != nil {
		return err
	}
	if !f.quiet {
		for line := range strings.Lines(p.summary()) {
			fmt.Fprintln(stderr, hostlog.Line(strings.TrimSuffix(line, "\n")))
		}
	}
	if p.failed() {
		return errFailed
	}
	return nil
}

func checkFormat(flag, format string) error {
	if format != formatNDJSON && format != formatMsgpack {
		return fmt.Errorf("%s: invalid value %q: allowed are %s and %s", flag, format, formatNDJSON, formatMsgpack)
	}
	return nil
}

// moduleSuffixes are those of files that are modules and no records.
var moduleSuffixes = []string{".wasm", ".wat", compiledSuffix}

// configuration is what the flags or the file say of filters. Their modules are loaded; the function that is
// returned gives them up.
func (f *runFlags) configuration(cmd *cobra.Command) (conf *trial.Configuration, closeModules func(), err error) {
	level, err := givenLevel(f.logLevel)
	if err != nil {
		return nil, nil, err
	}
	if cmd.Flags().Changed("config") {
		if conf, err = f.filter.configured(f.config, level); err != nil {
			return nil, nil, err
		}
	} else {
		if level == nil {
			info := hostlog.Info
			level = &info
		}
		sp, err := f.filter.withoutFunction(*level)
		if err != nil {
			return nil, nil, err
		}
		conf = &trial.Configuration{Specs: []trial.Spec{sp}, Tag: trial.DefaultTag}
	}
	if cmd.Flags().Changed("tag") {
		conf.Tag = f.tag
	}
	for i := range conf.Specs {
		f.files = append(f.files, conf.Specs[i].Files()...)
	}
	f.files = append(f.files, conf.Files...)
	var modules []*guest.Module
	closeModules = func() {
		for _, m := range modules {
			m.Close()
		}
	}
	for i := range conf.Specs {
		module, err := loading(cmd.ErrOrStderr(), &conf.Specs[i], f.quick, "--function-name")
		if err != nil {
			closeModules()
			return nil, nil, err
		}
		modules = append(modules, module)
	}
	return conf, closeModules, nil
}

// clock gives records their time.
func (f *runFlags) clock() (func() time.Time, error) {
	if f.time == "" {
		return time.Now, nil
	}
	t, err := time.Parse(time.RFC3339Nano, f.time)
	// An event time has 32 bits for seconds since 1970.
	if err != nil || t.Unix() < 0 || t.Unix() > math.MaxUint32 {
		return nil, fmt.Errorf("--time: invalid value %q: allowed are times such as 2026-01-02T15:04:05.678Z, from 1970 to 2106", f.time)
	}
	return func() time.Time { return t }, nil
}

// input is a file to read, or standard input.
type input struct {
	name   string
	reader io.Reader
	opened *os.File // what is to be closed; nil for standard input
}

type inputs []input

// openInputs opens all files before one of them is read: a name that is wrong
// shows before there is output.
func openInputs(names []string, stdin io.Reader) (inputs, error) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	var in inputs
	for _, name := range names {
		if name == "-" {
			in = append(in, input{name: "stdin", reader: stdin})
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			in.close()
			return nil, err
		}
		if info, err := file.Stat(); err == nil && info.IsDir() {
			file.Close()
			in.close()
			return nil, fmt.Errorf("%s is a directory: name a file of records", name)
		}
		in = append(in, input{name: name, reader: file, opened: file})
	}
	return in, nil
}

func (in inputs) close() {
	for _, i := range in {
		if i.opened != nil {
			i.opened.Close()
		}
	}
}

// isRegular reports whether the input is all there already.
func (in input) isRegular() bool {
	file, ok := in.reader.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular()
}

package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

const (
	// sidePart is how much shorter the passes around the main one are.
	sidePart = 5

	// maxWarmUp is enough for guests to fill their heaps and for caches.
	maxWarmUp = time.Second

	// maxChunkRecords keeps what is a slip from taking all memory.
	maxChunkRecords = 100_000
)

type benchFlags struct {
	filter       filterFlags
	tag          string
	chunkRecords int
	duration     time.Duration
	records      int
	json         bool
	logLevel     string
}

func newBench() *cobra.Command {
	f := benchFlags{filter: filterFlags{}}
	cmd := &cobra.Command{
		Use:   "bench [--function-name NAME] FILE [input]",
		Short: "Measure what a module costs",
		Long: `Run records through the filter, over and over, as fast as one thread can, and say
what that took. Nothing else should keep the machine busy meanwhile.

The records are those of the input, one JSON object a line (- is standard input;
of more than 64 MB the first 64 MB), or made-up ones of 450 bytes if there is none.
They are read before anything is measured. Without --function-name the function is
the only one of the module that could be called.

There are four passes. The second takes the time that --duration says, the others
a fifth of it:

  warm-up  at most a second, not measured.
  chunks   The code of the plugin runs chunk after chunk, as it would in Fluent Bit.
           Counts, speed, time per chunk and memory are of this pass. The resident
           memory is that of this process, compiler and records included.
  records  The same with chunks of one record, for the times of single records. They
           include what a chunk costs, so their mean is above that of the chunks pass.
  parts    The same code on chunks, with another instance and a clock between its
           steps, for the shares of the time per record:
             transcoding  reading the chunk, making JSON of the records, and the new
                          chunk of the replies; in msgpack mode reading and checking
             crossing     the same records, handed in the same way (malloc and free,
                          __new, or pages of the host) to a guest that returns each
                          at once, or drops it if this one did
             guest        the calls of this guest, less the crossing

A module that fails again and again is taken out of the path, as in the plugin:
breaker_failures 0 keeps what passes it by out of the figures.

Percentiles are right to 1 %. Log lines below warnings are left out unless
--log-level asks for them.

The exit code is 0 if all went well, 1 if records failed, and 2 if nothing could
be run.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.filter.add(cmd)
	flags.StringVar(&f.tag, "tag", trial.DefaultTag, "Tag of the records")
	flags.IntVar(&f.chunkRecords, "chunk-records", defaultChunkRecords, "Records in a chunk")
	flags.DurationVar(&f.duration, "duration", 5*time.Second, "How long to measure")
	flags.IntVar(&f.records, "records", 0, "Measure so many records instead, rounded up to whole chunks")
	flags.BoolVar(&f.json, "json", false, "Write one JSON object instead of a table")
	flags.StringVar(&f.logLevel, "log-level", trial.LevelNames[hostlog.Warn], "Level of the filter's log: "+strings.Join(trial.LevelNames, ", "))
	completeWords(cmd, "log-level", trial.LevelNames...)
	cmd.ValidArgsFunction = completeModule
	return cmd
}

func (f *benchFlags) run(cmd *cobra.Command, args []string) error {
	level, err := trial.ParseLevel(f.logLevel)
	if err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	limit, err := f.limit(cmd.Flags().Changed)
	if err != nil {
		return err
	}
	if args, err = f.filter.takeModule(args); err != nil {
		return err
	}
	if len(args) > 1 {
		return fmt.Errorf("one input at most is measured, not %d", len(args))
	}
	sp, module, err := f.filter.load(cmd.ErrOrStderr(), level)
	if err != nil {
		return err
	}
	defer module.Close()
	samples, err := f.samples(cmd, args)
	if err != nil {
		return err
	}
	bar := newProgress(cmd.ErrOrStderr())
	defer bar.end()
	b := bench{
		spec:    sp,
		tag:     []byte(f.tag),
		samples: samples,
		limit:   limit,
		bar:     bar,
		log:     sp.Log(logTo(bar.around(cmd.ErrOrStderr()))),
	}
	figures, err := b.run()
	if err != nil {
		return fmt.Errorf("filter %s: %w", sp.Name, err)
	}
	bar.end()
	text := figures.table()
	if f.json {
		text = figures.json()
	}
	if err := write(cmd.OutOrStdout(), text); err != nil {
		return err
	}
	if figures.Failed+figures.FailedElsewhere > 0 {
		return errFailed
	}
	return nil
}

// limit is how much the chunks pass does: a number of records, or if that is 0, for
// how long.
type limit struct {
	records  int
	duration time.Duration
}

func (f *benchFlags) limit(given func(flag string) bool) (limit, error) {
	switch {
	case f.chunkRecords < 1 || f.chunkRecords > maxChunkRecords:
		return limit{}, fmt.Errorf("--chunk-records: invalid value %d: allowed are numbers from 1 to %d", f.chunkRecords, maxChunkRecords)
	case given("records") && given("duration"):
		return limit{}, errors.New("--records and --duration: only one of them may be given")
	case given("records") && f.records < 1:
		return limit{}, fmt.Errorf("--records: invalid value %d: allowed are numbers from 1", f.records)
	case f.duration <= 0:
		return limit{}, fmt.Errorf("--duration: invalid value %v: allowed are times above 0, such as 500ms or 5s", f.duration)
	}
	return limit{f.records, f.duration}, nil
}

// side is what a pass besides the main one does.
func (l limit) side() limit {
	return limit{(l.records + sidePart - 1) / sidePart, l.duration / sidePart}
}

// done is which part of a pass has been done, 1 or more if it is over.
func (l limit) done(records int, start time.Time) float64 {
	if l.records > 0 {
		return float64(records) / float64(l.records)
	}
	return float64(time.Since(start)) / float64(l.duration)
}

// bench is one measurement.
type bench struct {
	spec    trial.Spec
	tag     []byte
	samples samples
	limit   limit
	bar     *progress
	ticked  time.Time
	log     func(hostlog.Level, string)
}

func (b *bench) run() (*figures, error) {
	f, err := filter.New(b.spec.Options.Once(), b.log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// In the plugin each instance has a thread of its own.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	debug.FreeOSMemory() // what is left of reading the samples is not the filter's

	r := &figures{
		Module:       b.spec.Options.WasmPath,
		Function:     b.spec.Options.FunctionName,
		EventFormat:  b.spec.Options.EventFormat.String(),
		ChunkRecords: b.samples.chunkRecords,
		RecordBytes:  b.samples.meanBytes,
	}
	warmUp := b.limit.side()
	warmUp.duration = min(warmUp.duration, maxWarmUp)
	b.pass("warm-up", warmUp, b.samples.chunks, b.samples.chunkRecords, func(chunk []byte) {
		f.Run(b.tag, chunk)
		b.after(f)
	})

	var chunks, records histogram
	before := f.Stats()
	b.pass("chunks", b.limit, b.samples.chunks, b.samples.chunkRecords, func(chunk []byte) {
		start := time.Now()
		f.Run(b.tag, chunk)
		chunks.add(time.Since(start))
		b.after(f)
	})
	r.count(before, f.Stats())
	r.time(chunks.total)
	r.LinearMemoryBytes = f.MemoryBytes()
	if r.ResidentBytes, err = residentBytes(); err != nil {
		return nil, err
	}

	b.pass("records", b.limit.side(), b.samples.singles, 1, func(chunk []byte) {
		start := time.Now()
		f.Run(b.tag, chunk)
		records.add(time.Since(start))
		b.after(f)
	})
	r.Chunk, r.Record = chunks.percentiles(), records.percentiles()

	// The log has said what there is to say.
	p, err := filter.NewProfiler(b.spec.Options.Once(), func(hostlog.Level, string) {})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	b.pass("parts", b.limit.side(), b.samples.chunks, b.samples.chunkRecords, func(chunk []byte) { p.Run(b.tag, chunk) })
	r.Shares = sharesOf(p.Parts())
	r.FailedElsewhere = f.Stats().Failed - r.Failed
	return r, nil
}

// after does what follows a chunk, and is not measured: what the filter emits under other tags is forgotten, and it
// ticks if it is time.
func (b *bench) after(f *filter.Filter) {
	f.TakeRouted()
	if f.Ticks() && time.Since(b.ticked) >= b.spec.Options.TickInterval {
		f.Tick(false)
		f.TakeRouted()
		b.ticked = time.Now()
	}
}

// pass runs chunk after chunk, at least one, from the first again after the last.
func (b *bench) pass(name string, l limit, chunks [][]byte, records int, run func(chunk []byte)) {
	b.bar.begin(name)
	start := time.Now()
	for n := 0; ; n++ {
		done := l.done(n*records, start)
		if done >= 1 && n > 0 {
			return
		}
		b.bar.show(done)
		run(chunks[n%len(chunks)])
	}
}

// progress is a bar on a terminal. Without one it does nothing.
type progress struct {
	bar   *progressbar.ProgressBar // nil: nobody sees it
	shown int
}

const progressSteps = 100

func newProgress(stderr io.Writer) *progress {
	file, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &progress{}
	}
	return &progress{bar: progressbar.NewOptions(progressSteps,
		progressbar.OptionSetWriter(stderr), progressbar.OptionSetWidth(40),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))}
}

// begin starts the bar of a pass.
func (p *progress) begin(name string) {
	if p.bar != nil {
		p.bar.Reset()
		p.bar.Describe(fmt.Sprintf("%-8s", name))
		p.shown = 0
	}
}

// show moves the bar. It is called all the time, and the bar rarely: what it does
// must not show in the figures.
func (p *progress) show(done float64) {
	// The last step is left out: it would end the line.
	if step := min(int(done*progressSteps), progressSteps-1); p.bar != nil && step != p.shown {
		p.shown = step
		_ = p.bar.Set(step)
	}
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}

// around returns a writer of lines that takes the bar away before each.
func (p *progress) around(w io.Writer) io.Writer {
	return writerFunc(func(line []byte) (int, error) {
		if p.bar != nil {
			_ = p.bar.Clear()
		}
		return w.Write(line)
	})
}

// writerFunc is a function as an io.Writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

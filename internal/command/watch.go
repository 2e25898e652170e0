package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// runAgain runs the inputs, and does so again each time that a file changes, until the command's context ends.
func (f *runFlags) runAgain(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || slices.Contains(args, "-") {
		return errors.New("--watch: name a file of records: standard input can be read once")
	}
	if f.output != formatNDJSON {
		return errors.New("--watch: it writes text: leave --output-format out")
	}
	if !cmd.Flags().Changed("quick") {
		f.quick = true
	}
	ctx := cmd.Context()
	stdout, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
	palette := paletteOf(stdout)
	var before *string // the output, once there is one
	for {
		if f.files = slices.Clone(args); f.config != "" {
			f.files = append(f.files, f.config)
		} else {
			f.files = append(f.files, f.filter[wasmPath].texts...)
		}
		// Before the files are read: what changes meanwhile is not missed.
		watch := trial.NewWatch(slices.Concat(f.files, f.watched))
		var out strings.Builder
		err := f.runNow(cmd, args, &out)
		watch.Add(f.files)
		f.watched = f.files
		var text string
		switch {
		case err != nil && !errors.Is(err, errFailed):
			say(stderr, "%v", err)
		case before == nil || f.diff:
			text = out.String()
		default:
			text = outputDiff(palette, *before, out.String())
		}
		if err == nil || errors.Is(err, errFailed) {
			now := out.String()
			before = &now
		}
		if err := write(stdout, []byte(text)); err != nil {
			return err
		}
		changed, err := watch.Wait(ctx)
		if err != nil { // the context has ended
			return nil
		}
		fmt.Fprintf(stderr, "%s: changed: %s\n", time.Now().Format("15:04:05"), hostlog.List(changed, hostlog.Line))
	}
}

// runNow runs the inputs once.
func (f *runFlags) runNow(cmd *cobra.Command, args []string, stdout io.Writer) error {
	conf, closeModules, err := f.configuration(cmd)
	if err != nil {
		return err
	}
	defer closeModules()
	return f.runOnce(cmd, conf, args, stdout)
}

// outputDiff says how one output differs from the one before, by its lines.
func outputDiff(palette trial.Palette, before, now string) string {
	was, is := slices.Collect(strings.Lines(before)), slices.Collect(strings.Lines(now))
	items := func(lines []string) (list []trial.Item) {
		for _, line := range lines {
			item, err := trial.ParseItem([]byte(line))
			if value, valueErr := trial.ParseValue([]byte(line)); err != nil && valueErr == nil {
				item = trial.Item{Body: value} // it has a tag
			} else if err != nil {
				item = trial.Item{Body: strings.TrimSuffix(line, "\n")} // it was passed through
			}
			list = append(list, item)
		}
		return list
	}
	wasItems, isItems := items(was), items(is)
	same, others := trial.Align(len(was), len(is), func(i, j int) bool { return trial.Equal(wasItems[i].Body, isItems[j].Body) })
	if len(others) == 0 {
		return fmt.Sprintf("the output is the same: %d records\n", len(is))
	}
	var b bytes.Buffer
	for _, p := range others {
		switch {
		case p.Is < 0:
			fmt.Fprintf(&b, "output %d, before\n  %s", p.Was+1, palette.Was(strings.TrimSuffix(was[p.Was], "\n"))+"\n")
		case p.Was < 0:
			fmt.Fprintf(&b, "output %d\n  %s", p.Is+1, palette.Is(strings.TrimSuffix(is[p.Is], "\n"))+"\n")
		default:
			fmt.Fprintf(&b, "output %d\n%s", p.Is+1, palette.Changes("  ", trial.Diff(wasItems[p.Was].Body, isItems[p.Is].Body)))
		}
	}
	fmt.Fprintf(&b, "%d of %d records differ\n", len(others), len(same)+len(others))
	return b.String()
}

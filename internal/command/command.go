// Package command is the program flb-wasmtime: the filter's pipeline without
// Fluent Bit around it, for trying guests out, for tests and for measurements.
package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// What Main returns.
const (
	exitOK     = 0
	exitFailed = 1 // records failed, or check found the module wanting
	exitUsage  = 2 // nothing was run: arguments, configuration or module are wrong
	exitAway   = 3 // a registry can't be reached
)

// errFailed ends the program with exitFailed. What failed has been said before.
var errFailed = errors.New("failed")

// errUnavailable ends the program with exitAway. What could not be reached has been said before.
var errUnavailable = errors.New("unavailable")

// Main runs the program with these arguments, the program's name not among
// them, and returns its exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return mainUntil(context.Background(), args, stdin, stdout, stderr)
}

// mainUntil is Main with a context, whose end ends what else goes on until the process does.
func mainUntil(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(append([]string{}, args...)) // nil would stand for os.Args

	err := execute(ctx, root)
	var write *writeError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFailed):
		return exitFailed
	case errors.Is(err, errUnavailable):
		return exitAway
	case errors.Is(err, errBroken):
		return exitUsage
	case errors.As(err, &write):
		// Whoever closed the pipe, head for one, has seen enough.
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.ErrClosedPipe) {
			say(stderr, "%v", err)
		}
		return exitFailed
	default:
		say(stderr, "%v", err)
		return exitUsage
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "flb-wasmtime",
		Short: "Run and examine WebAssembly guests of the Fluent Bit filter wasmtime",
		Long: "flb-wasmtime runs and examines WebAssembly guests of the Fluent Bit filter\n" +
			"wasmtime, without Fluent Bit.",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args:              unknownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:           "set", // there is a flag for it then
	}
	info, _ := debug.ReadBuildInfo()
	root.SetVersionTemplate(string(versionText(info)))
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newNew(), newRun(), newPlay(), newTest(), newCheck(), newBench(), newCompile(),
		newInspect(), newAnnotate(), newPush(), newPull(), newSign(), newVerify(), newVersion(), newMan())
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = helpFor
	}
	return root
}

// unknownCommand refuses what is not a command.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("unknown command %q for %q%s", args[0], root.Name(), hintOr(args[0], names, "; flb-wasmtime --help lists the commands"))
}

// hintOr says which of the names may have been meant, or what else there is to say if none is close.
func hintOr(given string, names []string, otherwise string) string {
	return cmp.Or(trial.Hint(given, names), otherwise)
}

// helpFor refuses to help with what is not a command.
func helpFor(cmd *cobra.Command, args []string) error {
	_, rest, err := cmd.Root().Find(args)
	if err == nil {
		err = unknownCommand(cmd.Root(), rest)
	}
	return err
}

// noArguments is the Args of a command that takes none.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments: what is %q for?", cmd.Name(), args[0])
	}
	return nil
}

// flagError says what is wrong with a flag, and what would be right.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	var alone *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		return fmt.Errorf("%w%s", err, hintOr("--"+unknown.GetSpecifiedName(), names, "; "+cmd.CommandPath()+" --help lists the flags"))
	case errors.As(err, &invalid):
		expected := ""
		switch f := invalid.GetFlag(); f.Value.Type() {
		case "int":
			expected = "a whole number is expected"
		case "duration":
			expected = "a time is expected, such as 500ms or 5s"
		case "bool":
			expected = "true or false is expected"
		default:
			expected = invalid.Unwrap().Error()
		}
		return fmt.Errorf("--%s: invalid value %q: %s", invalid.GetFlag().Name, invalid.GetValue(), expected)
	case errors.As(err, &alone):
		name := "--" + alone.GetFlag().Name
		return fmt.Errorf("%s: no value is given: write %s VALUE; %s --help says what it takes", name, name, cmd.CommandPath())
	}
	return err
}

// execute runs the command on a thread on whose stack guests may run, whatever the limits
// of the process say of its own.
func execute(ctx context.Context, root *cobra.Command) (err error) {
	done := make(chan struct{})
	failed := guest.Go(func() {
		defer close(done)
		err = root.ExecuteContext(ctx)
	})
	if failed != nil {
		return fmt.Errorf("can't start a thread: %w", failed)
	}
	<-done
	return err
}

// writeError is a failure of standard output.
type writeError struct{ err error }

func (e *writeError) Error() string { return "write standard output: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// write is w.Write with a *writeError.
func write(w io.Writer, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := w.Write(p); err != nil {
		return &writeError{err}
	}
	return nil
}

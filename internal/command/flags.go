package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// filterFlags are the options of the filter as flags.
type filterFlags map[string]*optionValue

// optionValue is what is given for an option; options.Parse judges it.
type optionValue struct {
	option options.Option
	texts  []string
}

// Set takes a value, which takes the place of one that was given before, unless the option may
// have several.
func (v *optionValue) Set(text string) error {
	if v.option.Prefix != "" && !strings.Contains(text, "=") {
		return errors.New("it must be of the form " + v.Type())
	}
	if !v.option.Multiple && v.option.Prefix == "" {
		v.texts = nil
	}
	v.texts = append(v.texts, text)
	return nil
}

// Type is what stands after the flag in the help.
func (v *optionValue) Type() string {
	if v.option.Prefix != "" {
		return v.option.Prefix
	}
	return v.option.Type.String()
}

func (v *optionValue) String() string {
	if len(v.texts) > 0 {
		return v.texts[0]
	}
	return v.option.Default
}

// flagName is the flag of an option. Of config.KEY it is --set KEY=VALUE, of table.NAME --table NAME=PATH.
func flagName(o options.Option) string {
	if o.Flag != "" {
		return "--" + o.Flag
	}
	return "--" + strings.ReplaceAll(o.Name, "_", "-")
}

// add makes the flags. One that is on or off is on if it is given alone.
func (f filterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	for _, o := range options.Table {
		v := &optionValue{option: o}
		f[o.Name] = v
		flag := flags.VarPF(v, strings.TrimPrefix(flagName(o), "--"), "", o.Help)
		values := o.Values
		if o.Type == options.Bool {
			flag.NoOptDefVal = "on"
			values = []string{"on", "off"}
		}
		if len(values) > 0 {
			completeWords(cmd, flag.Name, values...)
		}
	}
	completeFiles(cmd, "wasm-path", moduleSuffixes...)
	completeDirectories(cmd, "accessible-paths", "cache-dir")
}

const (
	wasmPath     = "wasm_path"
	functionName = "function_name"
)

// takeModule takes the module from the arguments, unless --wasm-path names it, and
// returns the other arguments.
func (f filterFlags) takeModule(args []string) ([]string, error) {
	if len(f[wasmPath].texts) > 0 {
		return args, nil
	}
	if len(args) == 0 {
		return nil, errors.New("no module is given: name a .wasm file")
	}
	_ = f[wasmPath].Set(args[0])
	return args[1:], nil
}

// spec makes the one filter that the flags stand for.
func (f filterFlags) spec(level hostlog.Level) (trial.Spec, error) {
	return trial.With(f.source(), level)
}

// source makes the flags a source of options.
func (f filterFlags) source() options.Source { return options.Of(f.properties()) }

// properties are the options that have been given.
func (f filterFlags) properties() []options.Property {
	var list []options.Property
	for _, o := range options.Table {
		for _, text := range f[o.Name].texts {
			p := options.Property{Key: o.Name, Value: text}
			if o.Prefix != "" {
				key, value, _ := strings.Cut(text, "=")
				p = options.Property{Key: o.Name + key, Value: value}
			}
			list = append(list, p)
		}
	}
	return list
}

// withoutFunction is spec with no function if none is given.
func (f filterFlags) withoutFunction(level hostlog.Level) (trial.Spec, error) {
	v := f[functionName]
	if len(v.texts) > 0 {
		return f.spec(level)
	}
	_ = v.Set("?") // it must be set
	sp, err := f.spec(level)
	v.texts = nil
	sp.Options.FunctionName = ""
	return sp, err
}

// load makes the filter that the flags stand for, with the module's only function that
// could be called if none is given. The module is the caller's to close.
func (f filterFlags) load(stderr io.Writer, level hostlog.Level) (trial.Spec, *guest.Module, error) {
	sp, err := f.withoutFunction(level)
	if err != nil {
		return trial.Spec{}, nil, err
	}
	module, err := loading(stderr, &sp, false, "--function-name")
	return sp, module, err
}

// configured are the filters of the configuration that --config names, with which no options are given.
func (f filterFlags) configured(path string, level *hostlog.Level) (*trial.Configuration, error) {
	if err := f.refuse(); err != nil {
		return nil, err
	}
	return trial.ReadFilters(path, level)
}

// givenLevel is what --log-level says; nil if it is not given.
func givenLevel(text string) (*hostlog.Level, error) {
	if text == "" {
		return nil, nil
	}
	level, err := trial.ParseLevel(text)
	if err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	return &level, nil
}

var errConfigAndOptions = errors.New("options of the filter come from the file given with --config")

// refuse returns an error if an option has been given.
func (f filterFlags) refuse() error {
	for _, o := range options.Table {
		if len(f[o.Name].texts) > 0 {
			return fmt.Errorf("%s: %w", flagName(o), errConfigAndOptions)
		}
	}
	return nil
}

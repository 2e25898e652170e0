package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/otlp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// Formats of OTLP requests.
const (
	formatProtobuf = "pb"
	formatJSON     = "json"
)

// newRequest makes what a request of a signal is read into: these types have the fields of requests.
var newRequest = map[string]struct {
	signal options.Signal
	empty  func() proto.Message
}{
	"metrics": {options.Metrics, func() proto.Message { return &metrics.MetricsData{} }},
	"traces":  {options.Traces, func() proto.Message { return &trace.TracesData{} }},
}

// runPayloads runs each input, an OTLP request, through the module as a processor of metrics or traces would.
func (f *runFlags) runPayloads(cmd *cobra.Command, args []string) error {
	kind, ok := newRequest[f.signal]
	if !ok {
		return fmt.Errorf("--signal: invalid value %q: allowed are metrics and traces", f.signal)
	}
	for _, flag := range []string{"config", "diff", "watch", "input-format", "chunk-records", "time"} {
		if cmd.Flags().Changed(flag) {
			return fmt.Errorf("--signal: it runs OTLP requests: leave --%s out", flag)
		}
	}
	format := formatProtobuf
	if cmd.Flags().Changed("output-format") {
		format = f.output
	}
	if format != formatProtobuf && format != formatJSON {
		return fmt.Errorf("--output-format: invalid value %q: allowed with --signal are %s and %s", format, formatProtobuf, formatJSON)
	}
	level := hostlog.Info
	if given, err := givenLevel(f.logLevel); err != nil {
		return err
	} else if given != nil {
		level = *given
	}
	args, err := f.filter.takeModule(args)
	if err != nil {
		return err
	}
	o, err := options.ParseSignal(f.filter.source(), kind.signal)
	if err != nil {
		return err
	}
	o.LogLevel = int(level)
	in, err := openInputs(args, cmd.InOrStdin())
	if err != nil {
		return err
	}
	defer in.close()
	spec := trial.Spec{Plugin: trial.PluginNames[0], Name: trial.OnlyName, LogLevel: level, Options: o}
	fl, err := filter.New(o.Once(), spec.Log(logTo(cmd.ErrOrStderr())))
	if err != nil {
		return err
	}
	defer fl.Close()
	fl.LogAll()
	for _, i := range in {
		request, err := readRequest(i, kind.empty())
		if err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		if err := writeRequest(cmd.OutOrStdout(), runPayload(fl, f.tag, request), format, kind.empty()); err != nil {
			return err
		}
	}
	if fl.Stats().Payloads[kind.signal][filter.Failed] > 0 {
		return errFailed
	}
	return nil
}

// runPayload returns what is left of a request.
func runPayload(fl *filter.Filter, tag string, request []byte) []byte {
	if tag == "" {
		tag = trial.DefaultTag
	}
	result := request
	verdict := fl.RunPayload(filter.Payload{
		Tag:    []byte(tag),
		Encode: func() ([]byte, error) { return request, nil },
		Put: func(replacement []byte) error {
			result = append([]byte(nil), replacement...)
			return nil
		},
		Host: otlp.Host{ExponentialHistograms: true, SignedIntegers: true, ScopeAttributes: true, ScopelessSpans: true},
	})
	if verdict == filter.Dropped {
		return nil
	}
	return result
}

// readRequest reads one, of JSON if the file's name says so.
func readRequest(i input, m proto.Message) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(i.reader, guest.MaxPayloadBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > guest.MaxPayloadBytes {
		return nil, fmt.Errorf("it has more than %d bytes", guest.MaxPayloadBytes)
	}
	if strings.HasSuffix(i.name, ".json") {
		if err := protojson.Unmarshal(b, m); err != nil {
			return nil, err
		}
		return proto.Marshal(m)
	}
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("it is no OTLP request: %w", err)
	}
	return b, nil
}

func writeRequest(to io.Writer, request []byte, format string, m proto.Message) error {
	if len(request) == 0 {
		return nil
	}
	if format == formatJSON {
		if err := proto.Unmarshal(request, m); err != nil {
			return errors.New("what the module has made is no OTLP request") // the checks have let it pass
		}
		text := protojson.Format(m)
		request = append([]byte(text), '\n')
	}
	_, err := to.Write(request)
	return err
}

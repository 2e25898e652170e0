package filter

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/otlp"
)

// Verdict is what becomes of a payload of metrics or traces.
type Verdict int

// The verdicts.
const (
	Kept     Verdict = iota // it stays as it is
	Replaced                // another one has taken its place
	Dropped                 // it is dropped
	Failed                  // of counts alone: it follows on_error
	NumVerdicts
)

func (v Verdict) String() string {
	return [NumVerdicts]string{"kept", "replaced", "dropped", "failed"}[v]
}

// Payload is one on its way through a filter of metrics or traces.
type Payload struct {
	Tag []byte
	// Encode returns the request. It is called once, if it is needed.
	Encode func() ([]byte, error)
	// Put has another request take its place, which has been checked for that Host. It is valid until Put
	// returns. An error says why that can't be: then nothing has changed.
	Put  func(request []byte) error
	Host otlp.Host
}

// RunPayload filters a payload: Kept, Replaced or Dropped.
func (f *Filter) RunPayload(p Payload) Verdict {
	f.count = Stats{}
	f.beforeChunk(p.Tag, nil)
	if f.periodic.take() {
		defer f.logReport()
	}
	result := Failed // if there is a panic
	defer func() {
		f.count.Payloads[f.signal][result]++
		f.addCount()
		f.show()
	}()
	verdict, result := f.decidePayload(&p)
	return verdict
}

// decidePayload returns what becomes of a payload, and what it counts as.
func (f *Filter) decidePayload(p *Payload) (fate, result Verdict) {
	if f.module != nil && !f.module.Handles(f.signal) {
		return Kept, Kept
	}
	state := f.breaker.state()
	switch {
	case state == open && f.absent == nil:
		return f.failPayload(p, breakerOpen, nil)
	case f.absent != nil && state != open:
		f.noModule()
		fallthrough
	case f.absent != nil:
		return f.failPayload(p, noModule, nil)
	case f.instance == nil && !f.replace():
		f.breaker.stopped(1)
		return f.failPayload(p, notRun, nil)
	}
	request, err := p.Encode()
	if err != nil {
		return f.failPayloadBy(p, "Fluent Bit does not encode it", err)
	}
	if len(request) > guest.MaxPayloadBytes {
		return f.failPayload(p, recordTooLarge, nil)
	}
	f.payloads++
	answer, outcome := f.lane.CallOTLP(f.signal, p.Tag, request)
	f.logOutput()
	fate, result = f.decideAnswer(p, state, request, answer, outcome)
	return fate, result
}

// decideAnswer does what the guest has said of a payload, and gives the instance up if it has to go.
func (f *Filter) decideAnswer(p *Payload, state breakerState, request []byte, answer guest.Answer, outcome guest.Outcome) (fate, result Verdict) {
	switch outcome {
	case guest.Trapped, guest.TimedOut, guest.NoMemory:
		f.giveUpAfter(outcome, f.lane.TakeError(), func(why string) string { return f.reportPayload(p, why) })
		return f.failPayload(p, causeOf(outcome), nil)
	case guest.Reply:
	default:
		f.breaker.answered()
		f.breaker.bad()
		f.giveUp(f.lane.TakeError())
		var why error
		if answer.Why != "" {
			why = errors.New(answer.Why)
		}
		return f.failPayload(p, causeOf(outcome), why)
	}
	// What is in the guest's memory goes with the instance.
	defer func() { f.giveUp(f.lane.TakeError()) }()
	switch {
	case answer.Operation == guest.Keep, answer.Operation == guest.Replace && bytes.Equal(answer.Bytes, request):
		f.succeeded(state)
		return Kept, Kept
	case answer.Operation == guest.Discard:
		f.succeeded(state)
		return Dropped, Dropped
	case answer.Operation == guest.Fail:
		f.succeeded(state)
		text := string(answer.Bytes[:min(len(answer.Bytes), hostlog.MaxTextBytes)])
		return f.failPayload(p, causeOf(guest.Error), errorOfGuest(0, text))
	}
	left, err := f.checkPayload(p, request, answer.Bytes)
	if err == nil && len(left) > 0 {
		err = p.Put(left)
	}
	if err != nil {
		f.breaker.answered()
		f.breaker.bad()
		return f.failPayloadBy(p, "what the guest has made of it can't take its place", err)
	}
	f.succeeded(state)
	if len(left) == 0 {
		return Dropped, Dropped
	}
	return Replaced, Replaced
}

// checkPayload returns what is to be decoded of a replacement.
func (f *Filter) checkPayload(p *Payload, request, replacement []byte) ([]byte, error) {
	if len(replacement) > guest.MaxPayloadBytes {
		return nil, fmt.Errorf("it has %d bytes, and may have %d", len(replacement), guest.MaxPayloadBytes)
	}
	if f.signal == options.Metrics {
		return otlp.CheckMetrics(request, replacement, p.Host)
	}
	return otlp.CheckTraces(request, replacement, p.Host)
}

// failPayload returns what becomes of a payload that failed for a cause that records have, too, and what it
// counts as. It logs why, unless that is logged already.
func (f *Filter) failPayload(p *Payload, why cause, detail error) (fate, result Verdict) {
	if why.loggedElsewhere() {
		return f.fateOfFailed(), Failed
	}
	return f.failPayloadBy(p, why.String(), detail)
}

func (f *Filter) failPayloadBy(p *Payload, why string, detail error) (fate, result Verdict) {
	f.log.Limited(hostlog.Error, "payload "+why, func() string {
		if detail != nil {
			why += ": " + hostlog.Printable(detail.Error(), hostlog.MaxTextBytes)
		}
		return f.reportPayload(p, why)
	})
	return f.fateOfFailed(), Failed
}

func (f *Filter) fateOfFailed() Verdict {
	if f.onError == options.Drop {
		return Dropped
	}
	return Kept
}

// reportPayload is the line for a payload that failed.
func (f *Filter) reportPayload(p *Payload, why string) string {
	fate := "passes through unchanged"
	if f.onError == options.Drop {
		fate = "is dropped (on_error drop)"
	}
	return fmt.Sprintf("a payload of %v (tag %s) %s: %s", f.signal, hostlog.Name(string(p.Tag)), fate, why)
}

package filter

import (
	"errors"
	"fmt"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// active is a module and its configuration, with an instance: what a filter runs, and what a reload
// replaces as a whole.
type active struct {
	module     *guest.Module // nil: it could not be started
	config     guest.Config
	instance   *guest.Instance // nil after a trap, until a record needs the next one
	batch      bool            // the guest has the batch ABI
	retryBatch bool            // and a batch that fails is run again in halves
}

// StartError says why a module can't be started, other than for the options alone.
type StartError struct{ Err error }

func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *StartError) Unwrap() error { return e.Err }

// IsStartError says whether err is a *StartError.
func IsStartError(err error) bool {
	var failed *StartError
	return errors.As(err, &failed)
}

// startModule loads the module and starts an instance of it. The error is a *StartError.
func startModule(o options.Options, source guest.Source, config guest.Config) (active, error) {
	module, err := guest.Load(source)
	if err != nil {
		return active{}, &StartError{fmt.Errorf("option wasm_path: %w", err)}
	}
	a, err := instantiate(o, module, config)
	if err != nil {
		module.Close()
	}
	return a, err
}

// instantiate takes the module, unless there is an error, which is a *StartError.
func instantiate(o options.Options, module *guest.Module, config guest.Config) (active, error) {
	instance, err := module.NewInstance(config)
	if err != nil {
		return active{}, &StartError{fmt.Errorf("module %s: %w", o.WasmPath, err)}
	}
	return active{
		module: module, config: config, instance: instance,
		batch:      module.IsBatch(),
		retryBatch: o.RetryBatch && !module.IsStateful(),
	}, nil
}

// close frees what is active.
func (a *active) close() {
	if a.instance != nil {
		a.instance.Close()
	}
	if a.module != nil {
		a.module.Close()
	}
	*a = active{}
}

// goWithout has the filter and its workers give up their guests, for there are not enough of them.
func (f *Filter) goWithout(why error) {
	for _, g := range f.all() {
		config := g.config
		g.active.close()
		g.use(active{config: config})
		g.absent = why
		g.breaker.trip()
		g.hideModule()
		g.show()
	}
}

// shortHash is what the log calls a version of a module.
func shortHash(m *guest.Module) string { return m.Hash()[:16] }

// use has the filter go on with another one. It must be between two chunks, or two records of a chunk that
// are called for alike.
func (f *Filter) use(a active) {
	f.active, f.handedOver = a, false
	f.ticks.Store(a.module != nil && a.module.HasTick() && a.config.NoTicks == "")
	f.lane.Attach(a.instance)
	limits := guest.BatchLimits{}
	if a.batch {
		limits = f.batchLimits
	}
	f.lane.SetBatch(limits)
	f.born = f.records()
	f.breaker.reset()
}

package filter

import (
	"strconv"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
)

// The names of metrics are these two, and that of the family, with _ between them. In the host's endpoint
// each has a label name, the instance's, before the others; GuestPrefix goes before the names of the
// metrics that guests define.
const (
	MetricNamespace = "fluentbit"
	MetricSubsystem = "wasmtime"
	GuestPrefix     = "guest_"
)

const payloadsTotal = "otlp_payloads_total"

// Family is a metric of each filter instance.
type Family struct {
	Name   string
	Kind   state.Kind
	Help   string
	Labels []string
	values func(*Report, func(value float64, labels ...string)) // nil: times is set
	times  func(*Report) *guest.Times
}

// Families are all of them. Where all values of a label are known, each has a series from the start.
var Families = []Family{
	{Name: "records_total", Kind: state.Counter, Labels: []string{"outcome"},
		Help: "Records that came, by what the guest made of them: returned, dropped, routed (under other tags alone), or failed, which then follow on_error",
		values: func(r *Report, add func(float64, ...string)) {
			add(float64(r.Returned), "returned")
			add(float64(r.Dropped), "dropped")
			add(float64(r.Routed), "routed")
			add(float64(r.Failed), "failed")
		}},
	{Name: "added_records_total", Kind: state.Counter,
		Help:   "Records that came out beyond one for each that came",
		values: one(func(r *Report) uint64 { return r.Added })},
	{Name: "emitted_records_total", Kind: state.Counter, Labels: []string{"result"},
		Help: "Records that were emitted under other tags, by what became of them: delivered, kept (they came out of the filter under the chunk's tag), dropped, or looped (kept, for they would have come back)",
		values: func(r *Report, add func(float64, ...string)) {
			add(float64(r.Emission.Delivered), "delivered")
			add(float64(r.Emission.Kept), "kept")
			add(float64(r.Emission.Dropped), "dropped")
			add(float64(r.Emission.Looped), "looped")
		}},
	{Name: "emit_held_bytes", Kind: state.Gauge,
		Help:   "Memory of records that wait to be emitted under other tags",
		values: one(func(r *Report) uint64 { return r.Emission.HeldBytes })},
	{Name: "ticks_total", Kind: state.Counter, Labels: []string{"result"},
		Help: "Calls of flb_tick, by how they ended: ok, or failed (nothing of them came out)",
		values: func(r *Report, add func(float64, ...string)) {
			add(float64(r.Ticks), "ok")
			add(float64(r.FailedTicks), "failed")
		}},
	{Name: "failed_records_total", Kind: state.Counter, Labels: []string{"cause"},
		Help: "Records that failed, by the cause",
		values: func(r *Report, add func(float64, ...string)) {
			for c := none + 1; c < numCauses; c++ {
				add(float64(r.Causes[c]), c.word())
			}
		}},
	{Name: "errors_total", Kind: state.Counter, Labels: []string{"code"},
		Help: "Records that the guest reported an error of, by its code; those of codes beyond the first 32 as other",
		values: func(r *Report, add func(float64, ...string)) {
			for code, n := range r.ErrorCodes() {
				add(float64(n), strconv.FormatUint(uint64(code), 10))
			}
			if r.OtherErrors > 0 {
				add(float64(r.OtherErrors), "other")
			}
		}},
	{Name: "chunks_total", Kind: state.Counter, Labels: []string{"outcome"},
		Help: "Chunks that came, by whether they were read, or unreadable and passed as they came",
		values: func(r *Report, add func(float64, ...string)) {
			add(float64(r.Chunks-r.Corrupt), "read")
			add(float64(r.Corrupt), "unreadable")
		}},
	{Name: payloadsTotal, Kind: state.Counter, Labels: []string{"signal", "result"},
		Help: "Payloads of metrics and traces that came, by what became of them: kept, replaced, dropped by the guest, or failed, which passes unless on_error is drop",
		values: func(r *Report, add func(float64, ...string)) {
			for v, n := range r.Payloads[r.Signal] {
				if r.Signal != options.Logs {
					add(float64(n), r.Signal.String(), Verdict(v).String())
				}
			}
		}},
	{Name: "calls_total", Kind: state.Counter,
		Help:   "Calls of the guest: one for a record, or of a batch guest one for a batch",
		values: one(func(r *Report) uint64 { return r.Calls })},
	{Name: "call_seconds", Kind: state.Histogram,
		Help:  "Time in a call of the guest, of each 64th call",
		times: func(r *Report) *guest.Times { return &r.CallTimes }},
	{Name: "chunk_seconds", Kind: state.Histogram,
		Help:  "Time that a chunk takes, calls of the guest included, of each 64th chunk",
		times: func(r *Report) *guest.Times { return &r.ChunkTimes }},
	{Name: "instances", Kind: state.Gauge,
		Help:   "Instances of the module that there are",
		values: one(func(r *Report) uint64 { return r.Instances })},
	{Name: "instances_given_up_total", Kind: state.Counter, Labels: []string{"reason"},
		Help: "Instances that had to go, by the reason: trap, timeout, memory (none was left for a record), recycled (recycle_memory)",
		values: func(r *Report, add func(float64, ...string)) {
			add(float64(r.GivenUp-r.TimedOut-r.NoMemory-r.Recycled), "trap")
			add(float64(r.TimedOut), "timeout")
			add(float64(r.NoMemory), "memory")
			add(float64(r.Recycled), "recycled")
		}},
	{Name: "memory_bytes", Kind: state.Gauge,
		Help:   "Linear memory of the instances",
		values: one(func(r *Report) uint64 { return r.MemoryBytes })},
	{Name: "breakers", Kind: state.Gauge, Labels: []string{"state"},
		Help: "Instances by the state of their breaker: closed, open (records pass by the module), or trial (the next record decides)",
		values: func(r *Report, add func(float64, ...string)) {
			for s, n := range r.Breakers {
				add(float64(n), breakerState(s).String())
			}
		}},
	{Name: "breaker_openings_total", Kind: state.Counter,
		Help:   "Times that a breaker has opened",
		values: one(func(r *Report) uint64 { return r.Openings })},
	{Name: "module_loaded", Kind: state.Gauge,
		Help: "1 if there is a module, 0 if it could not be started and records pass by",
		values: one(func(r *Report) uint64 {
			if r.Module == nil {
				return 0
			}
			return 1
		})},
	{Name: "module_info", Kind: state.Gauge, Labels: []string{"hash", "version", "abi", "engine"},
		Help: "1 for the module that runs, 0 for those that ran before: the first 16 digits of its file's SHA-256, the version that it says it has, its ABI, and what runs it",
		values: func(r *Report, add func(float64, ...string)) {
			for i := range r.Previous {
				add(0, info(&r.Previous[i])...)
			}
			if r.Module != nil {
				add(1, info(r.Module)...)
			}
		}},
	{Name: "module_load_seconds", Kind: state.Gauge,
		Help: "Time that it took to compile the module, or to load its code",
		values: func(r *Report, add func(float64, ...string)) {
			if r.Module != nil {
				add(r.Module.LoadTime.Seconds())
			}
		}},
	{Name: "module_loads_total", Kind: state.Counter, Labels: []string{"from"},
		Help: "Modules that were loaded, by where their code came from: compiled, cache (cache_dir), precompiled (allow_precompiled)",
		values: func(r *Report, add func(float64, ...string)) {
			for _, o := range []guest.Origin{guest.Compiled, guest.Cached, guest.Precompiled} {
				add(float64(r.Loads[o]), o.String())
			}
		}},
	{Name: "reloads_total", Kind: state.Counter, Labels: []string{"result"},
		Help: "Reloads of the module: success, failure (the one before goes on), rollback (the one before is back)",
		values: func(r *Report, add func(float64, ...string)) {
			for result, n := range r.Reloads {
				add(float64(n), ReloadResult(result).String())
			}
		}},
	{Name: "store_keys", Kind: state.Gauge,
		Help: "Keys in the store", values: ofStore(func(s *state.StoreStats) uint64 { return s.Keys })},
	{Name: "store_bytes", Kind: state.Gauge,
		Help: "Memory of the store", values: ofStore(func(s *state.StoreStats) uint64 { return s.Bytes })},
	{Name: "store_limit_bytes", Kind: state.Gauge,
		Help: "Memory that the store may have (store_limit)", values: ofStore(func(s *state.StoreStats) uint64 { return s.LimitBytes })},
	{Name: "store_refused_total", Kind: state.Counter,
		Help: "Calls that the store has refused for want of room, or since key or value was too long", values: ofStore(func(s *state.StoreStats) uint64 { return s.Refused })},
	{Name: "table_bytes", Kind: state.Gauge, Labels: []string{"table"},
		Help: "Memory of a table",
		values: func(r *Report, add func(float64, ...string)) {
			for _, t := range r.Tables {
				add(float64(t.Bytes), t.Name)
			}
		}},
	{Name: "table_loaded_timestamp_seconds", Kind: state.Gauge, Labels: []string{"table"},
		Help: "When the version of a table that is used was loaded, in seconds since 1970",
		values: func(r *Report, add func(float64, ...string)) {
			for _, t := range r.Tables {
				add(float64(t.Time.Unix()), t.Name)
			}
		}},
	{Name: "series", Kind: state.Gauge,
		Help:   "Series of the metrics that the guest has defined",
		values: ofCounted(func(s *state.MetricsStats) uint64 { return s.Series })},
	{Name: "series_hidden", Kind: state.Gauge,
		Help: "Of these, those that are not in this endpoint: they are too many, or their metric is another filter's, too, with another type or labels",
		values: func(r *Report, add func(float64, ...string)) {
			if r.Counted != nil {
				add(float64(r.Hidden))
			}
		}},
	{Name: "uncounted_total", Kind: state.Counter, Labels: []string{"reason"},
		Help: "Calls of the guest that its metrics do not count: for want of room (metrics_series), or for a value that is negative or not finite",
		values: func(r *Report, add func(float64, ...string)) {
			if r.Counted != nil {
				add(float64(r.Counted.NoRoom), "no_room")
				add(float64(r.Counted.BadValue), "bad_value")
			}
		}},
}

func one(value func(*Report) uint64) func(*Report, func(float64, ...string)) {
	return func(r *Report, add func(float64, ...string)) { add(float64(value(r))) }
}

func ofStore(value func(*state.StoreStats) uint64) func(*Report, func(float64, ...string)) {
	return func(r *Report, add func(float64, ...string)) {
		if r.Store != nil {
			add(float64(value(r.Store)))
		}
	}
}

func ofCounted(value func(*state.MetricsStats) uint64) func(*Report, func(float64, ...string)) {
	return func(r *Report, add func(float64, ...string)) {
		if r.Counted != nil {
			add(float64(value(r.Counted)))
		}
	}
}

// info are the labels of module_info.
func info(id *guest.Identity) []string {
	const digits = 16
	return []string{id.Hash[:min(digits, len(id.Hash))], id.Version, id.ABI, id.Engine}
}

// seconds are the ends of the ranges of guest.Times.
var seconds = func() (ends []float64) {
	for _, end := range guest.TimeRanges() {
		ends = append(ends, end.Seconds())
	}
	return ends
}()

// Metrics returns the report as metrics, one for each of Families in that order, without a label name.
func (r *Report) Metrics() []state.Metric {
	list := make([]state.Metric, len(Families))
	for i, f := range Families {
		m := &list[i]
		*m = state.Metric{Name: MetricNamespace + "_" + MetricSubsystem + "_" + f.Name, Kind: f.Kind, Help: f.Help, Labels: f.Labels}
		if f.times != nil {
			t := f.times(r)
			m.Buckets = seconds
			m.Series = []state.Series{{Value: t.Sum.Seconds(), Counts: t.Counts[:]}}
			continue
		}
		f.values(r, func(value float64, labels ...string) {
			m.Series = append(m.Series, state.Series{Values: labels, Value: value})
		})
	}
	return list
}

// causeWords are the values of the label cause.
var causeWords = [numCauses]string{
	recordNotMap:   "record_not_map",
	recordNotJSON:  "record_too_deep",
	recordTooLarge: "record_too_large",
	replyNotMap:    "reply_not_map",
	replyInvalid:   "reply_invalid",
	replyTooDeep:   "reply_too_deep",
	replySeveral:   "reply_several",
	chunkTooLarge:  "chunk_too_large",
	givenInvalid:   "change_invalid",
	notRun:         "no_instance",
	breakerOpen:    "breaker_open",
	noModule:       "no_module",
	firstOutcome:   "trap",
	firstOutcome + cause(guest.TimedOut-guest.Trapped):      "timeout",
	firstOutcome + cause(guest.NoMemory-guest.Trapped):      "guest_memory",
	firstOutcome + cause(guest.BadBuffer-guest.Trapped):     "buffer_invalid",
	firstOutcome + cause(guest.BadPointer-guest.Trapped):    "reply_outside_memory",
	firstOutcome + cause(guest.Unterminated-guest.Trapped):  "reply_unterminated",
	firstOutcome + cause(guest.ReplyTooLarge-guest.Trapped): "reply_too_large",
	firstOutcome + cause(guest.HostNoMemory-guest.Trapped):  "host_memory",
	firstOutcome + cause(guest.BadReply-guest.Trapped):      "batch_reply_invalid",
	firstOutcome + cause(guest.Breach-guest.Trapped):        "operation_invalid",
	firstOutcome + cause(guest.TooMuch-guest.Trapped):       "operations_too_large",
	firstOutcome + cause(guest.Error-guest.Trapped):         "guest_error",
}

func (c cause) word() string { return causeWords[c] }

// Package options is the one table of the plugin's options: what they are
// called, what they take, what they mean, and how they are checked. The host's
// config map, the command's flags, the README's table and the parser all come
// from it, and tests compare them with it. The output has the filter's options
// and, in output.go, its own.
package options

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Type is the kind of value that an option takes.
type Type int

// The types, as Fluent Bit's config maps know them.
const (
	String Type = iota
	Size        // bytes, with Fluent Bit's decimal suffixes: 8k, 1M, 2GB
	List        // comma separated strings
	Time        // 500ms, 1s, 2m, 1h; a bare number counts seconds
	Int
	Bool // on, yes, true; off, no, false
)

// String is the type's name as the README and the command's help write it.
func (t Type) String() string {
	switch t {
	case Size:
		return "size"
	case List:
		return "comma list"
	case Time:
		return "time"
	case Int:
		return "number"
	case Bool:
		return "on or off"
	default:
		return "string"
	}
}

// Option is a row of the table.
type Option struct {
	Name     string
	Type     Type
	Default  string   // "" means none
	Values   []string // all that a String may be, if that is a choice
	Open     bool     // it may be more than Values
	Required bool
	Multiple bool   // it may be given several times, in YAML as a list
	Prefix   string // of options, whose names go on as the user likes: how documents call the rest and the value, KEY=VALUE
	Flag     string // of the command, if it is another than the name tells
	Help     string
}

// Label is the name as documents write it.
func (o Option) Label() string {
	rest, _, _ := strings.Cut(o.Prefix, "=")
	return o.Name + rest
}

// MaxWasmStackBytes bounds wasm_stack_size: guests run on threads whose stack
// must hold it.
const MaxWasmStackBytes = 4_000_000

// minRoomBytes is the least that memory may be limited to: 64K, as Fluent Bit reads that.
const minRoomBytes = 64_000

// maxWasmHeapBytes bounds wasm_heap_size, as an eighth of memory_limit does: the room
// grows by itself, and is there twice.
const maxWasmHeapBytes = 16_000_000

// Table lists every option of the filter, in the order in which they are
// documented. Names are snake_case; the host compares them without case.
var Table = []Option{
	{Name: "wasm_path", Type: String, Required: true,
		Help: "Path of the WebAssembly module to run: binary (.wasm), text (.wat), or compiled (.cwasm, with allow_precompiled)"},
	{Name: "wasm_sha256", Type: String,
		Help: "SHA-256 of that file, in hexadecimal, as sha256sum prints it; a file that has another is refused; none unless set"},
	{Name: "function_name", Type: String, Required: true,
		Help: "Name of the exported function that is called for each record"},
	{Name: "event_format", Type: String, Default: "json", Values: []string{"json", "msgpack"},
		Help: "Format in which a record is handed to the function and taken back: json or msgpack"},
	{Name: "accessible_paths", Type: List,
		Help: "Directories that the module may read, or also write (PATH:rw), by the same names inside; in double quotes a path may hold commas; none unless set"},
	{Name: "env", Type: List, Multiple: true,
		Help: "Environment variables of the module: NAME=value,NAME=value; a comma that no NAME= follows belongs to the value, and a value in double quotes may hold anything; none unless set"},
	{Name: "config.", Type: String, Prefix: "KEY=VALUE", Flag: "set",
		Help: "Configuration of the module: config.KEY value, any number of them, which it reads by host functions; keys without case"},
	{Name: "config_file", Type: String,
		Help: "Path of a file with a JSON object, or of a .yaml or .yml file with a mapping, whose members are configuration of the module, too; config.KEY wins"},
	{Name: "table.", Type: String, Prefix: "NAME=PATH", Flag: "table",
		Help: "Path of a file that the module may look things up in by that name: .csv (PATH:COLUMN if the keys are not in the first one), .json or .mmdb; any number of them"},
	{Name: "table_limit", Type: Size, Default: "256M",
		Help: "Max memory of all tables together, without the previous version of one that is being refreshed"},
	{Name: "table_refresh", Type: Time, Default: "5s",
		Help: "How often the files of tables are looked at, to load those that have changed; 0 for never"},
	{Name: "on_error", Type: String, Default: "passthrough", Values: []string{"passthrough", "drop", "mark"}, Open: true,
		Help: "What becomes of a record that the module fails on: passthrough (unchanged), drop, mark (unchanged, with the reason in its metadata), or route:TAG (as marked, under another tag, in which $TAG, $TAG[0] and $key stand for the chunk's, a part of it and a value of the record)"},
	{Name: "mark_key", Type: String,
		Help: "Where on_error mark and route put the reason: a key of the record's body, which is set; unless set, wasmtime_error in the metadata"},
	{Name: "log_failed_records", Type: Bool, Default: "off",
		Help: "Log an excerpt of a record that the module fails on, as JSON, with the line that says so"},
	{Name: "split", Type: Bool, Default: "off",
		Help: "Make several records of a reply that is an array of them, or several JSON objects; else such a reply is a failure"},
	{Name: "batch_records", Type: Int, Default: "1000",
		Help: "Max records that a batch guest (flb_batch_1) is called for at once"},
	{Name: "batch_bytes", Type: Size, Default: "1M",
		Help: "Max bytes of their events, but for one event that is larger"},
	{Name: "retry_batch", Type: Bool, Default: "off",
		Help: "Run a batch that the module fails on again in halves, until the record that it fails on stands alone; a module that exports flb_stateful is never given a record twice"},
	{Name: "timeout", Type: Time, Default: "1s",
		Help: "Max time that the module may run, sleep or read files for one record, or one batch; 0 for no limit"},
	{Name: "memory_limit", Type: Size, Default: "256M",
		Help: "Max memory of one module instance, all its memories and tables together; to grow beyond fails inside the module"},
	{Name: "recycle_memory", Type: Size, Default: "64M",
		Help: "An instance whose memory has grown past this is replaced between two records; 0 for never"},
	{Name: "breaker_failures", Type: Int, Default: "100",
		Help: "So many failed records in a row, a timeout counting as 25, take the module out of the path for a while; 0 for never"},
	{Name: "breaker_backoff", Type: Time, Default: "1s",
		Help: "How long the module stays out of the path at first; doubled each time it fails again, up to 64 times as long"},
	{Name: "store_limit", Type: Size, Default: "0",
		Help: "Max memory of the filter's key-value store, which its instances share and which outlives them; 0 for none, and then modules that import store_ functions don't start"},
	{Name: "metrics_series", Type: Int, Default: "1000",
		Help: "Max series of the metrics that the module defines, one for each set of label values; 0 for none, and then modules that import metric_ functions don't start"},
	{Name: "emit_tags", Type: List, Multiple: true,
		Help: "Patterns of tags that the module may emit records under, in which * stands for any text, such as tenant.*,alerts; none unless set, and then modules that import emit_to don't start"},
	{Name: "emit_on_busy", Type: String, Default: "keep", Values: []string{"keep", "drop"}, Open: true,
		Help: "What becomes of a record for another tag that Fluent Bit does not take now: keep (it comes out under the chunk's own tag), drop, or block TIME (it waits, the input is paused, and after that time it is dropped)"},
	{Name: "emitter_name", Type: String,
		Help: "Name of the input through which records for other tags go on; emitter_for_ and the filter's name unless set"},
	{Name: "emitter_storage.type", Type: String, Default: "memory", Values: []string{"memory", "filesystem"}, Flag: "emitter-storage-type",
		Help: "Where that input keeps them: memory or filesystem"},
	{Name: "emitter_mem_buf_limit", Type: Size, Default: "10M",
		Help: "Max memory of that input, and of records that wait for it"},
	{Name: "tick_interval", Type: Time, Default: "1s",
		Help: "How often flb_tick is called, if the module exports it, whether records come or not: at most ten times a second, and late while a chunk runs; 0 for never"},
	{Name: "stats_interval", Type: Time, Default: "0",
		Help: "How often the log gets a line of what was counted so far, with the next chunk; 0 for never, but for the last line at the end"},
	{Name: "stats_format", Type: String, Default: "text", Values: []string{"text", "json"},
		Help: "How that line is written: text, or json (an object, with the metrics of the module too)"},
	{Name: "init_function", Type: String, Default: "auto",
		Help: "Exported function to call once before the first record: auto (_initialize if there is one; for Go, else _start), none, or a name; _start runs main"},
	{Name: "allocator", Type: String, Default: "auto",
		Help: "What gives a record its place in the memory of the module: auto, host (pages that the host adds), or two exported functions ALLOCATE,FREE"},
	{Name: "cache_dir", Type: String,
		Help: "Directory in which compiled modules are kept for the next start; it must be the user's alone; auto looks for a place (CACHE_DIRECTORY, the user's cache, /var/cache); none unless set"},
	{Name: "allow_precompiled", Type: Bool, Default: "off",
		Help: "Accept a wasm_path that flb-wasmtime compile has made: machine code, which runs without a check"},
	{Name: "on_start_error", Type: String, Default: "fail", Values: []string{"fail", "passthrough"},
		Help: "What a module does that can't be started: fail (Fluent Bit does not start), or passthrough (records follow on_error until its file changes and it can)"},
	{Name: "reload_module", Type: Bool, Default: "off",
		Help: "Watch the module's file and config_file, and have what has changed take over between two chunks, without a reload of Fluent Bit"},
	{Name: "reload_interval", Type: Time, Default: "1s",
		Help: "How often the files of reload_module are looked at; a change counts once two looks have found the same"},
	{Name: "reload_probe", Type: Int, Default: "100",
		Help: "So many of the last records go through what is to take over first, and it is refused if it fails on more of them than what runs; 0 for none"},
	{Name: "workers", Type: Int, Default: "1",
		Help: "Instances of the module that share the records of a chunk, each on a thread of its own, up to 64; each keeps its own state"},
	{Name: "wasm_heap_size", Type: Size, Default: "8192",
		Help: "Min room for tag and record in a module that exports no allocator, up to 16M or an eighth of memory_limit; grows with the records"},
	{Name: "wasm_stack_size", Type: Size, Default: "8192",
		Help: "Native stack of the module; at least 512 KiB are always given, at most 4M"},
}

// Signal is a kind of telemetry.
type Signal int

// The signals: a filter is for Logs, a native processor for Metrics or Traces. They have the numbers of docs/abi.md,
// by which C knows them as well.
const (
	Logs Signal = iota
	Metrics
	Traces
	NumSignals
)

func (s Signal) String() string { return [NumSignals]string{"logs", "metrics", "traces"}[s] }

// EventFormat says how a record crosses into the guest and back.
type EventFormat int

// The event formats.
const (
	JSON EventFormat = iota
	Msgpack
)

func (f EventFormat) String() string {
	if f == Msgpack {
		return "msgpack"
	}
	return "json"
}

// OnError says what becomes of a record that a guest fails on.
type OnError int

// What may become of it.
const (
	Passthrough OnError = iota
	Drop
	Mark
	Route
)

// OnBusy says what becomes of a record for another tag that can't be delivered now.
type OnBusy int

// What may become of it.
const (
	KeepBusy OnBusy = iota
	DropBusy
	BlockBusy
)

// OnStartError says what becomes of a start with a module that can't be started.
type OnStartError int

// What may become of it.
const (
	FailStart OnStartError = iota
	StartWithout
)

// StatsFormat says how a line about counts is written.
type StatsFormat int

// The formats of that line.
const (
	StatsText StatsFormat = iota
	StatsJSON
)

// Path is a directory for the guest.
type Path struct {
	Dir      string // as the user wrote it
	Writable bool
}

// TableFile is a file that the module may look things up in.
type TableFile struct {
	Name   string
	Path   string
	Column string // of CSV: where the keys are; "": in the first one
}

// Options are the checked values of one filter instance. They are not changed
// after Parse.
type Options struct {
	WasmPath        string
	WasmSHA256      string // 64 digits in lower case; "": any
	FunctionName    string
	EventFormat     EventFormat
	AccessiblePaths []Path      // existing directories
	Env             []string    // NAME=value
	Config          []Property  // of the module; keys in lower case, each once
	ConfigSet       []Property  // the part of it that is from config.KEY
	ConfigFile      string      // from which the other part came; "": none
	Tables          []TableFile // names in lower case, each once
	TableLimitBytes int64
	TableRefresh    time.Duration // 0: never
	OnError         OnError
	RouteTag        string // of Route: a template of package tagtemplate
	MarkKey         string // "": in the metadata
	LogFailed       bool
	Split           bool
	BatchRecords    int // at least 1
	BatchBytes      int64
	RetryBatch      bool

	Timeout            time.Duration // 0: none
	MemoryLimitBytes   int64
	RecycleMemoryBytes int64 // 0: never
	BreakerFailures    int   // 0: never
	BreakerBackoff     time.Duration

	StoreLimitBytes int64 // 0: no store
	MetricsSeries   int   // 0: no metrics

	EmitTags             []string // patterns, in which * stands for any text
	EmitOnBusy           OnBusy
	EmitBlockTime        time.Duration // of BlockBusy
	EmitterName          string        // "": after the instance
	EmitterFilesystem    bool          // else it keeps records in memory
	EmitterMemLimitBytes int64
	TickInterval         time.Duration // 0: never

	StatsInterval time.Duration // 0: never
	StatsFormat   StatsFormat

	IsOutput bool // they are those of an output

	Workers int // at least 1; an output has one: workers is a word of Fluent Bit there

	InitFunction     string // auto, none, or a name
	Allocator        string // auto, host, or NAME,NAME
	CacheDir         string // "": none
	AllowPrecompiled bool

	OnStartError   OnStartError
	ReloadModule   bool
	ReloadInterval time.Duration
	ReloadProbe    int // records; 0: none

	WasmHeapBytes  int64
	WasmStackBytes int64

	// The level of the instance's log, for the module to ask; who makes the options sets it. 0: info; less: none.
	LogLevel int

	// What is filtered. It is not an option.
	Signal Signal

	// What the user should know of values that were not taken as they are; lines for
	// the log.
	Warnings []string
}

// Emits says whether records may go on under other tags.
func (o *Options) Emits() bool { return len(o.EmitTags) > 0 || o.OnError == Route }

// Once returns the options for a run that ends by itself: what can't start fails, and nothing is loaded
// again.
func (o Options) Once() Options {
	o.OnStartError, o.ReloadModule = FailStart, false
	return o
}

// Error is a value that an option can't take, worded for the log of the host, which
// names the instance.
type Error struct {
	Option string
	Value  string // what was found; "" if the option is missing
	Want   string // what is allowed
}

func (e *Error) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("option %s is not set: %s", e.Option, e.Want)
	}
	return fmt.Sprintf("option %s: invalid value %q: %s", e.Option, e.Value, e.Want)
}

// Property is an option as the user has set it.
type Property struct{ Key, Value string }

// Source is where options are read from.
type Source struct {
	values func(name string) []string // in order: none, one, or several
	all    []Property                 // nil if they are not known
}

// Of makes a source of all properties, in order. Keys match without case.
func Of(all []Property) Source {
	if all == nil {
		all = []Property{}
	}
	return Source{
		values: func(name string) (values []string) {
			for _, p := range all {
				if strings.EqualFold(p.Key, name) {
					values = append(values, p.Value)
				}
			}
			return values
		},
		all: all,
	}
}

// From makes a source of a look-up that knows one value of each option. Options whose names only
// begin with one of the table's can't be read from it.
func From(get func(name string) (value string, ok bool)) Source {
	return Source{values: func(name string) []string {
		if v, ok := get(name); ok {
			return []string{v}
		}
		return nil
	}}
}

// minTick is how often the plugin looks whether a tick is due (TIMER_MS in emit_abi.c); flb-wasmtime keeps less, too.
const minTick = 100 * time.Millisecond

// Parse reads the options of a filter instance. Every error is an *Error.
func Parse(source Source) (Options, error) {
	p := parser{source: source}
	o := p.shared()
	o.Workers = int(p.number("workers", 1, 64))
	if !o.Emits() {
		p.unused(" without emit_tags or on_error route", emitterOptions...)
	}
	if o.TickInterval > 0 && o.TickInterval < minTick {
		p.warnings = append(p.warnings, fmt.Sprintf(
			"option tick_interval: %v can't be kept in Fluent Bit: flb_tick is called at most once in %v", o.TickInterval, minTick))
	}
	o.Warnings = p.warnings
	if p.err != nil {
		return Options{}, p.err
	}
	return o, nil
}

// unusedByPayloads are the options without effect on Metrics and Traces, but for emitterOptions.
var unusedByPayloads = []string{
	"function_name", "event_format", "mark_key", "log_failed_records", "split", "batch_records", "batch_bytes", "retry_batch",
	"tick_interval", "allocator", "reload_probe", "workers", "wasm_heap_size",
}

// ParseSignal reads the options of a processor of Metrics or Traces. Defaults are those of a filter, but function_name
// need not be set, and Workers is 1. An option without effect on payloads gives a warning; one that would give them
// another tag is an error. Every error is an *Error.
func ParseSignal(source Source, signal Signal) (Options, error) {
	p := parser{source: source, signal: signal}
	o := p.shared()
	o.Signal = signal
	p.unused(" on metrics and traces", slices.Concat(unusedByPayloads, emitterOptions)...)
	if o.OnError == Mark {
		p.warnings = append(p.warnings, "option on_error: metrics and traces can't be marked: they pass")
	}
	if o.OnError == Route {
		p.fail("on_error", p.value("on_error"), "metrics and traces can't be given another tag")
	}
	if len(o.EmitTags) > 0 {
		p.fail("emit_tags", strings.Join(o.EmitTags, " "), "metrics and traces can't be given another tag")
	}
	o.Warnings = p.warnings
	if p.err != nil {
		return Options{}, p.err
	}
	return o, nil
}

// shared reads the options that the filter and the output have in common.
func (p *parser) shared() Options {
	memoryLimit := p.size("memory_limit", minRoomBytes, 4<<30)
	o := Options{
		Workers:        1,
		WasmPath:       p.str("wasm_path", "give the path of a .wasm file"),
		WasmSHA256:     p.sha256("wasm_sha256"),
		FunctionName:   p.function(),
		EventFormat:    EventFormat(p.oneOf("event_format")),
		WasmHeapBytes:  p.clampedSize("wasm_heap_size", min(maxWasmHeapBytes, memoryLimit/8)),
		WasmStackBytes: p.clampedSize("wasm_stack_size", MaxWasmStackBytes),

		AccessiblePaths: p.dirs("accessible_paths"),
		Env:             p.env("env"),
		ConfigSet:       p.configSet("config."),
		ConfigFile:      p.value("config_file"),
		Tables:          p.tables("table."),
		TableLimitBytes: p.size("table_limit", minRoomBytes, 1<<40),
		TableRefresh:    p.time("table_refresh", 0, 24*time.Hour),
		MarkKey:         p.value("mark_key"),
		LogFailed:       p.bool("log_failed_records"),
		Split:           p.bool("split"),
		BatchRecords:    int(p.number("batch_records", 1, 1_000_000)),
		BatchBytes:      p.size("batch_bytes", 1, 1<<30),
		RetryBatch:      p.bool("retry_batch"),

		Timeout:            p.time("timeout", 0, 10*time.Minute),
		MemoryLimitBytes:   memoryLimit,
		RecycleMemoryBytes: p.size("recycle_memory", 0, 4<<30),
		BreakerFailures:    int(p.number("breaker_failures", 0, 1_000_000_000)),
		BreakerBackoff:     p.time("breaker_backoff", time.Millisecond, time.Hour),

		StoreLimitBytes: p.size("store_limit", 0, 4<<30),
		MetricsSeries:   int(p.number("metrics_series", 0, 100_000)),

		EmitTags:             p.patterns("emit_tags"),
		EmitterName:          p.value("emitter_name"),
		EmitterFilesystem:    p.oneOf("emitter_storage.type") == 1,
		EmitterMemLimitBytes: p.size("emitter_mem_buf_limit", minRoomBytes, 1<<40),
		TickInterval:         p.time("tick_interval", 0, 24*time.Hour),

		StatsInterval: p.time("stats_interval", 0, 24*time.Hour),
		StatsFormat:   StatsFormat(p.oneOf("stats_format")),

		InitFunction:     p.str("init_function", "give auto, none, or the name of a function that the module exports"),
		Allocator:        p.allocator("allocator"),
		CacheDir:         p.value("cache_dir"),
		AllowPrecompiled: p.bool("allow_precompiled"),

		OnStartError:   OnStartError(p.oneOf("on_start_error")),
		ReloadModule:   p.bool("reload_module"),
		ReloadInterval: p.time("reload_interval", 10*time.Millisecond, 24*time.Hour),
		ReloadProbe:    int(p.number("reload_probe", 0, 10_000)),
	}
	o.OnError, o.RouteTag = p.onError("on_error")
	o.EmitOnBusy, o.EmitBlockTime = p.onBusy("emit_on_busy")
	p.failBy(o.readConfig())
	if p.signal == Logs && o.OnError != Mark && o.OnError != Route {
		p.unused(" without on_error mark or route", "mark_key")
	}
	return o
}

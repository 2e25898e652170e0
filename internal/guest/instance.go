package guest

// #include <stdlib.h>
// #include "call.h"
// #include "../hostcall/record.h"
// #include "../hostcall/wasi.h"
import "C"

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tables"
)

// Config says how instances of a module are used.
type Config struct {
	Function           string         // called for records
	Signal             options.Signal // what instances are called for
	Init               string         // called once; "" or auto, none, or an exported function
	Allocator          string         // gives input its place; "" or auto, host, or "ALLOC,FREE", exported
	Msgpack            bool           // records and replies are MessagePack instead of JSON
	Dirs               []Dir          // what the guest may see of the file system
	Env                []string       // NAME=value
	Settings           []Setting      // the module's configuration
	Tables             *tables.Set    // that it may look things up in; they outlive its instances; nil: none
	TablesFail         bool           // there should be Tables, which can't be loaded: a module is not started without
	EmitTags           []string       // patterns of tags that it may emit events under; * stands for any bytes
	NoTicks            string         // why flb_tick is not called, in words; "": it is
	LogLevel           hostlog.Level  // of lines that are wanted; 0 means hostlog.Info, hostlog.Off none
	HeapBytes          int64          // min region for a guest without allocator
	MaxReplyBytes      uint32         // 0 means DefaultMaxReplyBytes
	Timeout            time.Duration  // of the calls for one record; 0 means none
	MemoryLimitBytes   int64          // of all memories and tables; 0 means what the module allows
	RecycleMemoryBytes int64          // an instance with more is to be replaced; 0 means never
	State              *state.State   // what instances share; closed after them; nil means nothing
}

// Setting is one key of a module's configuration. Keys match without case.
type Setting struct{ Key, Value string }

// Dir is a directory that a guest may use, by the same path as the host.
type Dir struct {
	Path     string
	Writable bool
}

// DefaultMaxReplyBytes bounds a reply: more than any record that Fluent Bit
// takes in by default, far less than a guest can make up.
const DefaultMaxReplyBytes = 32 << 20

const (
	pageBytes = 64 << 10
	maxPages  = 65536

	// TinyGo's collector runs when memory is used up, and then may free a call's
	// input, which only the stack of WebAssembly knows. With 1 MiB more it runs
	// far less often: measured on a guest of TinyGo 0.2x, 17 % less time, and
	// 1 to 2 instead of 14 wrong replies in 1.2 million.
	collectorPages = 16
)

// startTimeout is what _initialize and start functions may take, if the timeout
// of a record is shorter. Large modules set up their heaps there. A variable for
// the tests' sake.
var startTimeout = 10 * time.Second

// ErrRecycle says that an instance should be replaced, though it still works: its
// memory has grown past the limit for that, or it had none left for the last
// record that was run, whose outcome then is NoMemory.
var ErrRecycle = errors.New("the guest's memory has grown")

// Instance is one instance of a module, in a store of its own. It must not be
// used by two goroutines at once. After a *TrapError it must be closed.
type Instance struct {
	store  *wasmtime.Store
	lines  *lineTable // of the module
	limit  uint64     // memory_limit, in bytes
	made   *wasmtime.Instance
	tables *tables.Set
	c      *C.flbwt_guest // in C memory: wasmtime and the watchdog keep pointers into it
}

// NewInstance checks the module against the guest ABI, instantiates it, and runs
// what it has to run before its first record.
func (m *Module) NewInstance(config Config) (*Instance, error) {
	a := m.abi(config)
	if err := errProblems(a.problems); err != nil {
		return nil, err
	}
	in, err := newInstance(m, config)
	if err != nil {
		return nil, err
	}
	in.c.allocator = C.int(a.allocator)
	if err := in.start(m, config, a); err != nil {
		stdout, stderr := in.TakeOutput()
		output := string(stdout) + string(stderr)
		lines, _ := in.TakeLog()
		for _, l := range lines {
			output += l.Text + "\n"
		}
		in.Close()
		if output = strings.TrimSpace(output); output != "" {
			err = fmt.Errorf("%w (the module wrote: %s)", err, hostlog.Quote(output, hostlog.MaxTextBytes))
		}
		return nil, err
	}
	in.c.instance.watch.timeout_ns = C.uint64_t(config.Timeout)
	return in, nil
}

var open atomic.Int64

// Open is how many instances of all modules there are, for the tests' sake.
func Open() int { return int(open.Load()) }

// newInstance returns one that has a store, and is watched, but nothing in it yet.
func newInstance(m *Module, config Config) (*Instance, error) {
	in := &Instance{
		store: wasmtime.NewStore(m.engine),
		lines: m.lines,
		c:     (*C.flbwt_guest)(C.calloc(1, C.sizeof_flbwt_guest)),
	}
	open.Add(1)
	in.configure(m, config)
	if errno := C.flbwt_watch_add(&in.c.instance.watch); errno != 0 {
		in.Close()
		return nil, fmt.Errorf("timeouts can't be kept here: %w; set timeout 0 to run the module without a limit", watchError(errno))
	}
	return in, nil
}

// watchError says why the watchdog could not start.
func watchError(errno C.int) error {
	if syscall.Errno(errno) == syscall.ENOTSUP {
		return errors.New("no real-time signal reaches a thread of this process")
	}
	return fmt.Errorf("no thread can be started: %w", syscall.Errno(errno))
}

// configure sets what can be known before there is an instance.
func (in *Instance) configure(m *Module, config Config) {
	c := in.c
	c.instance.context = capi.Context[*C.wasmtime_context_t](in.store)
	c.msgpack = C.bool(config.Msgpack)
	c.min_region = C.uint64_t(config.HeapBytes)
	c.max_reply = C.uint32_t(config.MaxReplyBytes)
	if config.MaxReplyBytes == 0 {
		c.max_reply = DefaultMaxReplyBytes
	}
	in.limit = config.memoryLimit()
	in.bound(m)
	c.recycle_bytes = math.MaxUint64
	if config.RecycleMemoryBytes > 0 {
		c.recycle_bytes = C.uint64_t(config.RecycleMemoryBytes)
	}
	c.instance.log_level = C.int(config.LogLevel)
	if config.LogLevel == 0 {
		c.instance.log_level = C.int(hostlog.Info)
	}
	if m.importsRecord() {
		c.instance.current = C.flbwt_current_new(C.bool(config.Msgpack || m.IsBatch()))
	}
	c.instance.settings, c.instance.settings_len = newSettings(config.Settings), C.uint32_t(len(config.Settings))
	c.instance.tags.patterns, c.instance.tags.n = newPatterns(config.EmitTags), C.uint32_t(len(config.EmitTags))
	c.instance.ticks = C.bool(config.NoTicks == "")
	c.instance.store = (*C.struct_flbwt_store)(config.State.StorePointer())
	c.instance.metrics = (*C.struct_flbwt_metrics)(config.State.MetricsPointer())
	c.instance.version = C.uint64_t(m.number)
	c.instance.tables = (*C.flbwt_tables)(config.Tables.Pointer())
	in.tables = config.Tables
	in.tables.AddReader(unsafe.Pointer(&c.instance.table_reader))
	c.instance.watch.code, c.instance.watch.code_end = C.uintptr_t(m.code), C.uintptr_t(m.codeEnd)
	if config.Timeout > 0 {
		c.instance.watch.timeout_ns = C.uint64_t(max(config.Timeout, startTimeout))
	}
}

// textBlock makes room in C memory for head bytes, which are cleared, and texts behind them, which put copies there.
// The caller frees it.
func textBlock(head, texts int) (start unsafe.Pointer, put func(text string) (*C.char, C.uint32_t)) {
	start = C.calloc(1, C.size_t(head+texts))
	room := unsafe.Slice((*byte)(start), head+texts)
	at := head
	return start, func(text string) (*C.char, C.uint32_t) {
		p := (*C.char)(unsafe.Add(start, at))
		at += copy(room[at:], text)
		return p, C.uint32_t(len(text))
	}
}

// newPatterns makes patterns in one block of C memory, for the caller to free; NULL: there are none.
func newPatterns(patterns []string) *C.flbwt_pattern {
	if len(patterns) == 0 {
		return nil
	}
	texts := 0
	for _, p := range patterns {
		texts += len(p)
	}
	start, put := textBlock(len(patterns)*C.sizeof_flbwt_pattern, texts)
	list := unsafe.Slice((*C.flbwt_pattern)(start), len(patterns))
	for i, p := range patterns {
		list[i].text, list[i].len = put(p)
	}
	return &list[0]
}

// newSettings makes settings in one block of C memory, for the caller to free; NULL: there are none.
func newSettings(settings []Setting) *C.flbwt_setting {
	if len(settings) == 0 {
		return nil
	}
	texts := 0
	for _, s := range settings {
		texts += len(s.Key) + len(s.Value)
	}
	start, put := textBlock(len(settings)*C.sizeof_flbwt_setting, texts)
	list := unsafe.Slice((*C.flbwt_setting)(start), len(settings))
	for i, s := range settings {
		list[i].key, list[i].key_len = put(s.Key)
		list[i].value, list[i].value_len = put(s.Value)
	}
	return &list[0]
}

// memoryLimit is the bytes that an instance may have.
func (c *Config) memoryLimit() uint64 {
	if c.MemoryLimitBytes > 0 {
		return uint64(c.MemoryLimitBytes)
	}
	return math.MaxUint64
}

// bound limits the memories and tables of the instance.
func (in *Instance) bound(m *Module) {
	s := &m.traits.Storage
	b := s.budget(in.limit)
	room := &in.c.instance.room
	room.bytes = C.uint64_t(b.tableBytes)
	// The room for tables is memory's no more, and what they have is counted.
	room.limit = C.uint64_t(in.limit - (b.tablesRoom - b.tableBytes))
	if s.TableGrow {
		// A limiter would hide growths of memory that are refused (memory.c).
		room.limiter = true
		in.store.Limiter(-1, int64(b.tableElements), 1, maxTables, maxMemories)
	}
}

func (in *Instance) start(m *Module, config Config, a abi) error {
	if err := in.grant(config); err != nil {
		return err
	}
	linker, err := in.linker(m)
	if err != nil {
		return err
	}
	defer linker.Close()
	instance, err := in.initialize(linker, m, a)
	if err != nil {
		return err
	}

	in.made = instance
	c := in.c
	c.instance.memory = capi.Memory[C.wasmtime_memory_t](instance.GetExport(in.store, "memory"))
	if m.collects() {
		// A module that can't have it does without.
		var from C.uint64_t
		C.flbwt_memory_grow(&c.instance, collectorPages*pageBytes, &from)
	}
	function := func(name string) C.wasmtime_func_t {
		return capi.Func[C.wasmtime_func_t](instance.GetFunc(in.store, name))
	}
	if name := m.functionFor(config); name != "" {
		c.function = function(name)
	}
	switch a.allocator {
	case allocOwn:
		c.alloc = function(a.alloc)
	case allocMalloc:
		c.alloc, c.release = function(a.alloc), function(a.free)
	case allocPinned:
		c.alloc, c.pin = function("__new"), function("__pin")
	}
	if m.export(tickFunction) != nil {
		c.tick, c.has_tick = function(tickFunction), true
	}
	return in.offerConfiguration(instance)
}

// offerConfiguration has the guest read its configuration, if it wants to.
func (in *Instance) offerConfiguration(instance *wasmtime.Instance) error {
	f := instance.GetFunc(in.store, configureFunction)
	if f == nil {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.flbwt_watch_enter(&in.c.instance.watch)
	defer C.flbwt_watch_leave(&in.c.instance.watch)
	result, err := f.Call(in.store)
	if err != nil {
		return fmt.Errorf("%s failed: %w", configureFunction, in.startError(err, in.refusal(trapCode(err))))
	}
	at, _ := result.(int32)
	if at == 0 {
		return nil
	}
	text, ok := in.textAt(uint32(at))
	if !ok {
		return fmt.Errorf("%s refuses the configuration, by a text outside its memory", configureFunction)
	}
	return fmt.Errorf("it refuses its configuration: %s", hostlog.Quote(text, hostlog.MaxTextBytes))
}

// textAt returns a text of the guest that ends with a NUL, as far as it is taken. False: it is outside memory.
func (in *Instance) textAt(at uint32) (text string, ok bool) {
	memory := unsafe.Slice((*byte)(C.wasmtime_memory_data(in.c.instance.context, &in.c.instance.memory)),
		int(C.flbwt_memory_size(&in.c.instance)))
	if uint64(at) >= uint64(len(memory)) {
		return "", false
	}
	rest := memory[at:]
	rest = rest[:min(len(rest), hostlog.MaxTextBytes)]
	if end := bytes.IndexByte(rest, 0); end >= 0 {
		rest = rest[:end]
	}
	text = string(rest)
	runtime.KeepAlive(in)
	return text, true
}

// initialize runs the guest's code that goes before its first record: start
// functions and what the abi says, watched like a call.
func (in *Instance) initialize(linker *wasmtime.Linker, m *Module, a abi) (*wasmtime.Instance, error) {
	// The watchdog ends what runs on the thread that has entered.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.flbwt_watch_enter(&in.c.instance.watch)
	defer C.flbwt_watch_leave(&in.c.instance.watch)

	C.flbwt_room_enter(&in.c.instance.room)
	instance, err := linker.Instantiate(in.store, m.compiled)
	C.flbwt_room_enter(nil)
	if err != nil {
		return nil, fmt.Errorf("can't instantiate the module: %w", in.startError(err, in.c.instance.room.refused))
	}
	C.flbwt_room_made(&in.c.instance.room, C.int(m.traits.Storage.Memories))
	for _, name := range a.init {
		if _, err := instance.GetFunc(in.store, name).Call(in.store); err != nil && !in.exitedWell() {
			return nil, fmt.Errorf("%s failed: %w", hostlog.Name(name), in.startError(err, in.refusal(trapCode(err))))
		}
	}
	return instance, nil
}

// exitedWell says whether a call ended by proc_exit(0), as _start may. Exports go on
// working then.
func (in *Instance) exitedWell() bool {
	if !bool(in.c.instance.exited) || in.c.instance.exit_status != 0 {
		return false
	}
	in.c.instance.exited = false
	return true
}

func (in *Instance) startError(err error, refusal C.enum_flbwt_refusal) error {
	if bool(C.flbwt_watch_interrupted(&in.c.instance.watch)) {
		return fmt.Errorf("it took longer than %v", time.Duration(in.c.instance.watch.timeout_ns))
	}
	return errors.New(reason(err.Error()) + in.refusedText(refusal))
}

// trapCode is the wasmtime_trap_code_enum of an error, or -1.
func trapCode(err error) int {
	var trap *wasmtime.Trap
	if errors.As(err, &trap) && trap.Code() != nil {
		return int(*trap.Code())
	}
	return -1
}

// Close frees the instance. It may be called twice.
func (in *Instance) Close() {
	if in.c == nil {
		return
	}
	open.Add(-1)
	C.flbwt_watch_remove(&in.c.instance.watch)
	in.tables.RemoveReader(unsafe.Pointer(&in.c.instance.table_reader))
	in.store.Close()
	C.flbwt_wasi_close(&in.c.instance)
	C.free(unsafe.Pointer(in.c.instance.out.buffer.data))
	C.free(unsafe.Pointer(in.c.instance.err.buffer.data))
	C.free(unsafe.Pointer(in.c.instance.log.buffer.data))
	C.free(unsafe.Pointer(in.c.instance.settings))
	C.free(unsafe.Pointer(in.c.instance.tags.patterns))
	C.free(unsafe.Pointer(in.c.instance.tags.last.data))
	C.flbwt_current_free(in.c.instance.current)
	C.free(unsafe.Pointer(in.c))
	in.c = nil
}

// MemoryBytes returns what the guest's memories have in all, and its tables had at first.
func (in *Instance) MemoryBytes() uint64 { return uint64(in.c.instance.room.bytes) }

// HasOutput says whether the guest wrote to stdout or stderr since TakeOutput, or logged since
// TakeLog, or there are notices, or something to log of its tables since NoteTables.
func (in *Instance) HasOutput() bool {
	return bool(C.flbwt_has_written(&in.c.instance)) || bool(C.flbwt_has_news(&in.c.instance))
}

// Notice is something that the filter should say.
type Notice uint32

// The notices, as bits.
const (
	NoticeStore   Notice = C.FLBWT_NOTICE_STORE   // the store has refused something
	NoticeMetrics Notice = C.FLBWT_NOTICE_METRICS // something was not counted
)

// TakeNotices takes those since the last call. Of all instances with one State, one has a notice in
// ten seconds.
func (in *Instance) TakeNotices() Notice {
	n := Notice(in.c.instance.notices)
	in.c.instance.notices = 0
	return n
}

// TakeOutput takes what the guest wrote since the last call. Output that found
// no room is mentioned at the end. A last line that is not finished is taken
// as it is.
func (in *Instance) TakeOutput() (stdout, stderr []byte) {
	return takeStream(&in.c.instance.out), takeStream(&in.c.instance.err)
}

// LogLine is a line that a guest has logged.
type LogLine struct {
	Level hostlog.Level
	Text  string
}

// TakeLog takes what the guest has logged since the last call, and how many lines found no room.
func (in *Instance) TakeLog() (lines []LogLine, lost uint64) {
	o := &in.c.instance.log
	for rest := unsafe.Slice((*byte)(unsafe.Pointer(o.buffer.data)), int(o.buffer.len)); len(rest) > 0; {
		n := binary.NativeEndian.Uint32(rest[1:])
		lines = append(lines, LogLine{hostlog.Level(rest[0]), string(rest[5 : 5+n])})
		rest = rest[5+n:]
	}
	lost = uint64(o.lost)
	o.buffer.len, o.lost = 0, 0
	return lines, lost
}

// NoteTables has HasOutput speak of tables again once there is more to log of them.
func (in *Instance) NoteTables() {
	if in.c.instance.tables != nil {
		in.c.instance.table_news = C.flbwt_tables_news(in.c.instance.tables)
	}
}

func takeStream(o *C.flbwt_output) []byte {
	b := C.GoBytes(unsafe.Pointer(o.buffer.data), C.int(o.buffer.len))
	if o.lost > 0 {
		b = fmt.Appendf(b, "\n(%d bytes more were written than are kept)", uint64(o.lost))
	}
	o.buffer.len = 0
	o.lost = 0
	return b
}

// Outcome says what became of a record; call.h explains each.
type Outcome uint32

// The outcomes.
const (
	NotRun        Outcome = C.FLBWT_NOT_RUN
	Reply         Outcome = C.FLBWT_REPLY
	Drop          Outcome = C.FLBWT_DROP
	Trapped       Outcome = C.FLBWT_TRAPPED
	TimedOut      Outcome = C.FLBWT_TIMED_OUT
	NoMemory      Outcome = C.FLBWT_NO_MEMORY
	BadBuffer     Outcome = C.FLBWT_BAD_BUFFER
	BadPointer    Outcome = C.FLBWT_BAD_POINTER
	Unterminated  Outcome = C.FLBWT_UNTERMINATED
	ReplyTooLarge Outcome = C.FLBWT_REPLY_TOO_LARGE
	HostNoMemory  Outcome = C.FLBWT_HOST_NO_MEMORY
	BadReply      Outcome = C.FLBWT_BAD_REPLY
	Breach        Outcome = C.FLBWT_BREACH
	TooMuch       Outcome = C.FLBWT_TOO_MUCH
	Error         Outcome = C.FLBWT_ERROR

	LastOutcome = Error
)

// outcomeTexts words the outcomes that fail a record, for the log.
var outcomeTexts = [...]string{
	NotRun:        "the guest was not called",
	Reply:         "the guest replied",
	Drop:          "the guest dropped the record",
	Trapped:       "the guest trapped",
	TimedOut:      "the guest took longer than timeout",
	NoMemory:      "the guest has no memory left for the record",
	BadBuffer:     "the guest's allocator answered a buffer outside its memory",
	BadPointer:    "the guest's reply is a pointer outside its memory",
	Unterminated:  "the guest's reply does not end inside its memory",
	ReplyTooLarge: "the guest's reply is too large",
	HostNoMemory:  "the host has no memory for the reply",
	BadReply:      "the guest's reply for the batch is not valid",
	Breach:        "an operation of the guest's reply is not valid",
	TooMuch:       "the operations of the guest's reply make too much",
	Error:         "the guest reports an error",
}

func (o Outcome) String() string { return outcomeTexts[o] }

// TrapError says why a guest stopped.
type TrapError struct {
	Kind   string // a few fixed words, to tell one cause from another
	Reason string // one printable line, without the guest's words unless it aborted

	message     string // wasmtime's
	leafUnknown bool
	lines       *lineTable
}

// Backtrace returns the functions that the guest was in, the innermost first, in one printable
// line; with lines of source if the module has DWARF. It is empty if they are not known.
func (e *TrapError) Backtrace() string { return backtrace(e.message, e.lines, e.leafUnknown) }

func (e *TrapError) Error() string { return e.Reason }

func (in *Instance) trapError(trap *C.wasm_trap_t, failure *C.wasmtime_error_t) *TrapError {
	var code C.int
	text := C.flbwt_explain(trap, failure, &code)
	defer C.free(unsafe.Pointer(text))
	e := in.explain(C.GoString(text), int(code))
	e.lines = in.lines
	return e
}

func (in *Instance) explain(message string, code int) *TrapError {
	e := &TrapError{message: message}
	switch {
	case bool(C.flbwt_watch_interrupted(&in.c.instance.watch)):
		// The watchdog has made a function of another module of the innermost.
		e.leafUnknown = code == C.WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED
		e.Kind, e.Reason = "timeout", fmt.Sprintf("it took longer than the timeout of %v", time.Duration(in.c.instance.watch.timeout_ns))
	case bool(in.c.instance.exited):
		e.Kind, e.Reason = "exit", fmt.Sprintf("the guest exited with status %d", int32(in.c.instance.exit_status))
	case code >= 0 && code < len(trapReasons):
		e.Kind, e.Reason = trapReasons[code], trapReasons[code]+in.refusedText(in.refusal(code))
	case strings.Contains(message, uncaught):
		e.Kind, e.Reason = "exception", "the guest threw an exception that nothing catches"
	case strings.Contains(message, noExceptionRoom):
		e.Kind, e.Reason = "no memory for exceptions", fmt.Sprintf("no memory is left for the guest's exceptions: it has %d bytes, and memory_limit is %d", uint64(in.c.instance.room.bytes), in.limit)
	default:
		e.Kind, e.Reason = "abort", reason(message)+in.refusedText(in.refusal(code))
	}
	return e
}

// refusal is why memory was refused to a guest that has stopped, if it was.
func (in *Instance) refusal(trapCode int) C.enum_flbwt_refusal {
	if trapCode == C.WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS {
		return in.c.instance.room.refused // wasmtime has looked at the memories for the fault, too
	}
	return C.flbwt_room_refusal(&in.c.instance.room)
}

// refusedText is what goes after why a guest has stopped.
func (in *Instance) refusedText(refusal C.enum_flbwt_refusal) string {
	switch refusal {
	case C.FLBWT_REFUSED_LIMIT:
		return fmt.Sprintf(", after memory.grow was refused: it has %d bytes, and memory_limit is %d", uint64(in.c.instance.room.bytes), in.limit)
	case C.FLBWT_REFUSED_MAXIMUM:
		return ", after memory.grow was refused: the maximum of the module's memory does not allow it"
	case C.FLBWT_REFUSED_HOST:
		return ", after memory.grow was refused: the host has no memory"
	default:
		return ""
	}
}

// What wasmtime 44 says of exceptions.
const (
	uncaught        = "thrown Wasm exception"
	noExceptionRoom = "GC heap out of memory"
)

// trapReasons words what modules without references and threads can cause.
var trapReasons = [...]string{
	C.WASMTIME_TRAP_CODE_STACK_OVERFLOW:            "stack overflow",
	C.WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS:      "out of bounds memory access",
	C.WASMTIME_TRAP_CODE_HEAP_MISALIGNED:           "misaligned memory access",
	C.WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS:       "out of bounds table access",
	C.WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL:     "indirect call to null",
	C.WASMTIME_TRAP_CODE_BAD_SIGNATURE:             "indirect call with another signature",
	C.WASMTIME_TRAP_CODE_INTEGER_OVERFLOW:          "integer overflow",
	C.WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO:  "integer division by zero",
	C.WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER: "invalid conversion to integer",
	C.WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED:  "unreachable code was reached (a panic or abort of the guest)",
	C.WASMTIME_TRAP_CODE_INTERRUPT:                 "interrupted",
	C.WASMTIME_TRAP_CODE_OUT_OF_FUEL:               "out of fuel",
}

// reason is where wasmtime's messages say what happened: if there is a backtrace, in the
// last line, after it. Names of the module may stand in it.
func reason(message string) string {
	if !strings.HasPrefix(message, "error while executing at wasm backtrace") {
		return oneLine(message)
	}
	lines := strings.Split(strings.TrimSpace(message), "\n")
	return hostlog.Printable(strings.TrimSpace(lines[len(lines)-1]), hostlog.MaxTextBytes)
}

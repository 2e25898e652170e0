package guest

// #include <stdlib.h>
// #include "call.h"
import "C"

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf16"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// Config says how instances of a module are used.
type Config struct {
	Function        string
	Msgpack         bool     // records and replies are MessagePack instead of JSON
	AccessiblePaths []string // directories that the guest may read
	HeapBytes       int64    // least region for a guest without allocator
	MaxReplyBytes   uint32   // 0 means DefaultMaxReplyBytes
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

// Instance is one instance of a module, in a store of its own. It must not be
// used by two goroutines at once. After a *TrapError it must be closed.
type Instance struct {
	store *wasmtime.Store
	c     *C.flbwt_guest // in C memory: wasmtime keeps pointers into it
}

// NewInstance instantiates the module, runs its _initialize, and checks it
// against the guest ABI.
func (m *Module) NewInstance(config Config) (*Instance, error) {
	if err := errProblems(m.problems(config.Function)); err != nil {
		return nil, err
	}
	if config.MaxReplyBytes == 0 {
		config.MaxReplyBytes = DefaultMaxReplyBytes
	}
	in := &Instance{
		store: wasmtime.NewStore(m.engine),
		c:     (*C.flbwt_guest)(C.calloc(1, C.sizeof_flbwt_guest)),
	}
	if err := in.start(m, config); err != nil {
		output := in.Output()
		in.Close()
		if output != "" {
			err = fmt.Errorf("%w (the module wrote: %s)", err, strings.TrimSpace(output))
		}
		return nil, err
	}
	return in, nil
}

func (in *Instance) start(m *Module, config Config) error {
	wasi := wasmtime.NewWasiConfig()
	for _, dir := range config.AccessiblePaths {
		if err := wasi.PreopenDir(dir, dir, wasmtime.DIR_READ, wasmtime.FILE_READ); err != nil {
			return fmt.Errorf("can't give the directory %q to the module: %w", dir, err)
		}
	}
	// wasmtime-go wraps neither of the custom streams; its WasiConfig is one
	// pointer to the C object.
	C.flbwt_capture_output(*(*unsafe.Pointer)(unsafe.Pointer(wasi)), in.c)
	in.store.SetWasi(wasi)

	linker := wasmtime.NewLinker(m.engine)
	defer linker.Close()
	if err := linker.DefineWasi(); err != nil {
		return err
	}
	if err := linker.FuncWrap("env", "abort", abort); err != nil {
		return err
	}
	instance, err := linker.Instantiate(in.store, m.compiled)
	if err != nil {
		return fmt.Errorf("can't instantiate the module: %w", err)
	}
	if m.initialize {
		if _, err := instance.GetFunc(in.store, "_initialize").Call(in.store); err != nil {
			return fmt.Errorf("_initialize failed: %w", err)
		}
	}

	c := in.c
	c.context = unsafe.Pointer(in.store.Context())
	c.allocator = C.int(m.allocator)
	c.msgpack = C.bool(config.Msgpack)
	c.max_reply = C.uint32_t(config.MaxReplyBytes)
	c.min_region = C.uint64_t(config.HeapBytes)
	memory := instance.GetExport(in.store, "memory").AsExtern()
	C.flbwt_take_memory(unsafe.Pointer(&memory), &c.memory)
	c.initial_size = C.uint64_t(m.memory.Minimum() * pageBytes)
	if m.collects {
		// A module that can't have it does without.
		_, _ = instance.GetExport(in.store, "memory").Memory().Grow(in.store, collectorPages)
	}
	c.max_size = maxPages * pageBytes
	if bounded, most := m.memory.Maximum(); bounded {
		c.max_size = C.uint64_t(most * pageBytes)
	}
	take := func(name string, to *C.wasmtime_func_t) {
		external := instance.GetFunc(in.store, name).AsExtern()
		C.flbwt_take_func(unsafe.Pointer(&external), to)
	}
	take(config.Function, &c.function)
	switch m.allocator {
	case allocMalloc:
		take("malloc", &c.alloc)
		take("free", &c.release)
	case allocPinned:
		take("__new", &c.alloc)
		take("__pin", &c.pin)
	}
	return nil
}

// Close frees the instance. It may be called twice.
func (in *Instance) Close() {
	if in.c == nil {
		return
	}
	in.store.Close()
	C.free(unsafe.Pointer(in.c.out.buffer.data))
	C.free(unsafe.Pointer(in.c.err.buffer.data))
	C.free(unsafe.Pointer(in.c))
	in.c = nil
}

// HasOutput says whether the guest wrote to stdout or stderr since Output.
func (in *Instance) HasOutput() bool {
	return in.c.out.buffer.len|in.c.err.buffer.len|C.size_t(in.c.out.lost|in.c.err.lost) != 0
}

// Output takes what the guest wrote to stdout and then what it wrote to stderr.
func (in *Instance) Output() string {
	stdout, stderr := in.TakeOutput()
	return string(stdout) + string(stderr)
}

// TakeOutput takes what the guest wrote since the last call. Output that found
// no room is mentioned at the end. A last line that is not finished is taken
// as it is.
func (in *Instance) TakeOutput() (stdout, stderr []byte) {
	return takeStream(&in.c.out), takeStream(&in.c.err)
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

// abort is what AssemblyScript calls before it traps.
func abort(caller *wasmtime.Caller, message, file, line, column int32) *wasmtime.Trap {
	text := fmt.Sprintf("abort: %s in %s:%d:%d",
		scriptString(caller, message), scriptString(caller, file), line, column)
	return wasmtime.NewTrap(text)
}

// scriptString reads an AssemblyScript string: UTF-16, its length in bytes in
// the four bytes before it. Whatever does not fit reads as "?".
func scriptString(caller *wasmtime.Caller, at int32) string {
	const most = 1024
	memory := caller.GetExport("memory").Memory()
	p := uint64(uint32(at))
	size := uint64(memory.DataSize(caller))
	if p < 4 || p > size {
		return "?"
	}
	data := memory.UnsafeData(caller)
	n := uint64(data[p-4]) | uint64(data[p-3])<<8 | uint64(data[p-2])<<16 | uint64(data[p-1])<<24
	if n > most || p+n > size {
		return "?"
	}
	units := make([]uint16, n/2)
	for i := range units {
		units[i] = uint16(data[p+uint64(i)*2]) | uint16(data[p+uint64(i)*2+1])<<8
	}
	return string(utf16.Decode(units))
}

// Outcome says what became of a record. The numbers are enum flbwt_outcome of
// call.h, where each is explained.
type Outcome uint32

// The outcomes.
const (
	NotRun Outcome = iota
	Reply
	Drop
	Trapped
	NoMemory
	BadBuffer
	BadPointer
	Unterminated
	ReplyTooLarge
	HostNoMemory
)

// outcomeTexts words the outcomes that fail a record, for the log.
var outcomeTexts = [...]string{
	NotRun:        "the guest was not called",
	Reply:         "the guest replied",
	Drop:          "the guest dropped the record",
	Trapped:       "the guest trapped",
	NoMemory:      "the guest has no memory left for the record",
	BadBuffer:     "the guest's allocator answered a buffer outside its memory",
	BadPointer:    "the guest's reply is a pointer outside its memory",
	Unterminated:  "the guest's reply does not end inside its memory",
	ReplyTooLarge: "the guest's reply is too large",
	HostNoMemory:  "the host has no memory for the reply",
}

func (o Outcome) String() string { return outcomeTexts[o] }

// Record is a record of a batch. Its layout is flbwt_record's.
type Record struct {
	In, InLen       uint32 // in Batch.In
	Sec, Nsec       uint32
	reply, replyLen uint32 // in the batch's replies
	Outcome         Outcome
}

var (
	_ [unsafe.Sizeof(Record{})]byte                         = [C.sizeof_flbwt_record]byte{}
	_ [unsafe.Offsetof(Record{}.Outcome)]byte               = [unsafe.Offsetof(C.flbwt_record{}.outcome)]byte{}
	_ [unsafe.Offsetof(Record{}.reply)]byte                 = [unsafe.Offsetof(C.flbwt_record{}.reply)]byte{}
	_ [HostNoMemory]byte                                    = [C.FLBWT_HOST_NO_MEMORY]byte{}
	_ [unsafe.Sizeof(outcomeTexts) / unsafe.Sizeof("")]byte = [HostNoMemory + 1]byte{}
)

// Batch stages records for one crossing, and holds the replies. The zero value
// is ready for use; Close frees it.
type Batch struct {
	In      []byte // the records, back to back
	Records []Record
	replies C.flbwt_buffer
	trap    unsafe.Pointer // set by Run, here so that it need not be allocated
	failure unsafe.Pointer
}

// Add appends a record whose bytes are In[from:].
func (b *Batch) Add(from int, sec, nsec uint32) {
	b.Records = append(b.Records, Record{In: uint32(from), InLen: uint32(len(b.In) - from), Sec: sec, Nsec: nsec})
}

// Input answers the bytes of a record, as they were handed to the guest.
func (b *Batch) Input(r *Record) []byte { return b.In[r.In : r.In+r.InLen] }

// Reply answers what the guest replied, if its Outcome is Reply: at least one
// byte, which is the guest's word and nothing more. It is valid until Reset.
func (b *Batch) Reply(r *Record) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(b.replies.data)), int(b.replies.len))[r.reply : r.reply+r.replyLen]
}

// Reset forgets records and replies, and keeps the memory for the next ones.
func (b *Batch) Reset() {
	b.In = b.In[:0]
	b.Records = b.Records[:0]
	b.replies.len = 0
}

// Close frees the batch's C memory.
func (b *Batch) Close() {
	C.free(unsafe.Pointer(b.replies.data))
	*b = Batch{}
}

// MaxBatchBytes is the most that Batch.In may hold.
const MaxBatchBytes = math.MaxInt32

// Run calls the guest for b.Records[from:], in one crossing, and answers the
// index of the first record that it did not finish. A *TrapError means that the
// instance is gone, and that the records from next on wait for another one.
func (in *Instance) Run(tag []byte, b *Batch, from int) (next int, err error) {
	n := C.flbwt_run(in.c,
		(*C.uint8_t)(unsafe.SliceData(tag)), C.uint32_t(len(tag)),
		(*C.uint8_t)(unsafe.SliceData(b.In)),
		(*C.flbwt_record)(unsafe.Pointer(unsafe.SliceData(b.Records))),
		C.size_t(from), C.size_t(len(b.Records)), &b.replies, &b.trap, &b.failure)
	next = int(n)
	if b.trap != nil || b.failure != nil {
		return next, newTrapError(b.trap, b.failure)
	}
	return next, nil
}

// TrapError says why a guest stopped.
type TrapError struct {
	Reason string // one line, without the guest's words unless it aborted
}

func (e *TrapError) Error() string { return e.Reason }

func newTrapError(trap, failure unsafe.Pointer) *TrapError {
	var code, status C.int
	var exited C.bool
	message := C.flbwt_explain(trap, failure, &code, &exited, &status)
	defer C.free(unsafe.Pointer(message))
	switch {
	case bool(exited):
		return &TrapError{fmt.Sprintf("the guest exited with status %d", int(status))}
	case int(code) >= 0 && int(code) < len(trapReasons):
		return &TrapError{trapReasons[code]}
	default:
		return &TrapError{lastLine(C.GoString(message))}
	}
}

// trapReasons words wasmtime_trap_code_enum (include/wasmtime/trap.h, v44.0.0)
// as far as modules without references and threads can cause them.
var trapReasons = [...]string{
	"stack overflow",
	"out of bounds memory access",
	"misaligned memory access",
	"out of bounds table access",
	"indirect call to null",
	"indirect call with another signature",
	"integer overflow",
	"integer division by zero",
	"invalid conversion to integer",
	"unreachable code was reached (a panic or abort of the guest)",
	"interrupted",
	"out of fuel",
}

// lastLine is where wasmtime's messages say what happened: behind the backtrace.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

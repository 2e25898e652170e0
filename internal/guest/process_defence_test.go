package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
)

// child runs the test again in a process of its own, which may die, and says
// whether this is that process. stdin is what the child may read.
func child(t *testing.T, stdin string) bool {
	t.Helper()
	const mark = "GUEST_TEST_CHILD"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	cmd := emulator.Command(os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err == nil && strings.Contains(string(out), "--- SKIP: "+t.Name()) {
		t.Skipf("the child process: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("the child process: %v\n%.3000s", err, out)
	}
	return false
}

// reset takes all handlers of a signal away, as signal(2) does.
func reset(t *testing.T, sig syscall.Signal) {
	t.Helper()
	var action [4]uint64 // struct sigaction of the kernel: SIG_DFL, no flags
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
}

// Fluent Bit installs handlers of its own over wasmtime's, for these two signals,
// when it handles SIGHUP or SIGCONT. The next batch works nevertheless, and so do its traps.
func TestHandlersAreRestored(t *testing.T) {
	for _, test := range []struct{ guest, want string }{
		{"oob_store", "out of bounds memory access"},
		{"div_by_zero", "integer division by zero"},
		{"stack_overflow", "stack overflow"},
		{"trap_when_told", "unreachable code was reached"},
	} {
		t.Run(test.guest, func(t *testing.T) {
			if !child(t, "") {
				return
			}
			m := load(t, guests.WAT(test.guest))
			for range 3 {
				in, err := m.NewInstance(Config{Function: "filter"})
				if err != nil {
					t.Fatal(err)
				}
				for _, sig := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGFPE} {
					reset(t, sig)
				}
				var b Batch
				b.In = append(b.In, `{"trap":true}`...)
				b.Add(0, 0, 0)
				_, err = in.Run(nil, &b, 0, 1)
				var trap *TrapError
				if !errors.As(err, &trap) || !strings.Contains(trap.Reason, test.want) {
					t.Errorf("%v, want %q", err, test.want)
				}
				in.Close()
				b.Close()
			}
		})
	}
}

// The same before the start functions of a new instance.
func TestHandlersAreRestoredForStart(t *testing.T) {
	if !child(t, "") {
		return
	}
	m := load(t, `(module (memory (export "memory") 1)
  (func (export "_initialize") (i32.store (i32.const -4) (i32.const 0)))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))`)
	for range 3 {
		reset(t, syscall.SIGSEGV)
		if _, err := m.NewInstance(Config{Function: "filter"}); err == nil || !strings.Contains(err.Error(), "out of bounds memory access") {
			t.Error(err)
		}
	}
}

// A guest reads nothing of the host's standard input.
func TestStdinIsEmpty(t *testing.T) {
	if !child(t, "a secret of the host") {
		return
	}
	in := instantiate(t, `(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2 2) `+answer+`
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 100))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 512)))
    (call $answer (i32.load (i32.const 512)))))`, Config{Msgpack: true, Timeout: time.Minute})
	if n := number(t, in, "{}"); n != 0 {
		t.Errorf("%d bytes were read", n)
	}
}

// Directories are read-only unless they are said to be writable, and a guest does
// not get out of them.
func TestDirectories(t *testing.T) {
	const text = `(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 2 2)
  (data (i32.const 1024) "%s") ` + answer + `
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $answer (call $open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const %d)
      (i32.const %d) (i64.const %d) (i64.const 0) (i32.const 0) (i32.const 512)))))`
	const (
		create, read, write = 1, 2, 64 // oflags and rights of wasi_snapshot_preview1
	)
	for _, test := range []struct {
		path     string
		oflags   int
		rights   int
		writable bool
		ok       bool
	}{
		{"there", 0, read, false, true},
		{"there", 0, write, false, false},
		{"new", create, write, false, false},
		{"there", 0, write, true, true},
		{"new", create, write, true, true},
		{"../outside", 0, read, true, false},
		{"link", 0, read, true, false},
		{"/etc/passwd", 0, read, true, false},
	} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "dir")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{filepath.Join(dir, "there"), filepath.Join(parent, "outside")} {
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(filepath.Join(parent, "outside"), filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		in := instantiate(t, fmt.Sprintf(text, test.path, len(test.path), test.oflags, test.rights),
			Config{Msgpack: true, Dirs: []Dir{{Path: dir, Writable: test.writable}}})
		if errno := number(t, in, "{}"); (errno == 0) != test.ok {
			t.Errorf("%+v: errno %d", test, errno)
		}
		if _, err := os.Stat(filepath.Join(dir, "new")); (err == nil) != (test.ok && test.path == "new") {
			t.Errorf("%+v: the new file: %v", test, err)
		}
	}
}

// refuseSignals has the kernel refuse tgkill for these signals, as an emulator may that does
// not know them: struct sock_filter of include/uapi/linux/filter.h, seccomp(2).
func refuseSignals(t *testing.T, from, to int) {
	t.Helper()
	type filter struct {
		code   uint16
		jt, jf uint8
		k      uint32
	}
	const (
		load, ifEqual, ifAtLeast, answer = 0x20, 0x15, 0x35, 0x06
		allow, refuse                    = 0x7fff0000, 0x00050000 | uint32(syscall.EINVAL)
		number, third                    = 0, 32 // of struct seccomp_data: nr, low half of args[2]
	)
	program := []filter{
		{load, 0, 0, number},
		{ifEqual, 0, 4, uint32(syscall.SYS_TGKILL)},
		{load, 0, 0, third},
		{ifAtLeast, 0, 2, uint32(from)},
		{ifAtLeast, 1, 0, uint32(to + 1)},
		{answer, 0, 0, refuse},
		{answer, 0, 0, allow},
	}
	prog := struct {
		n      uint16
		filter *filter
	}{uint16(len(program)), &program[0]}
	const noNewPrivileges, setModeFilter, ofAllThreads = 38, 1, 1
	seccomp := map[string]uintptr{"amd64": 317, "arm64": 277}[runtime.GOARCH]
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivileges, 1, 0, 0, 0, 0); errno != 0 {
		t.Skipf("prctl: %v", errno)
	}
	if _, _, errno := syscall.RawSyscall(seccomp, setModeFilter, ofAllThreads, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		t.Skipf("seccomp: %v", errno)
	}
}

// Where the highest real-time signals don't exist, timeouts are kept by another.
func TestTimeoutWithoutHighestSignals(t *testing.T) {
	if !child(t, "") {
		return
	}
	refuseSignals(t, 63, 64)
	stopsAtSecond(t, load(t, endlessText(endless["arithmetic"])), Config{Timeout: busyTimeout}, TimedOut, "timeout of 50ms")
}

// Where there is no signal to end a guest with, none starts that was to have a timeout.
func TestNoTimeoutWithoutSignals(t *testing.T) {
	if !child(t, "") {
		return
	}
	refuseSignals(t, 32, 64)
	m := load(t, guests.WAT("identity"))
	_, err := m.NewInstance(Config{Function: "filter", Timeout: time.Second})
	if err == nil || !strings.Contains(err.Error(), "timeouts can't be kept here") || !strings.Contains(err.Error(), "timeout 0") {
		t.Errorf("with a timeout: %v", err)
	}
	in, err := m.NewInstance(Config{Function: "filter"})
	if err != nil {
		t.Fatalf("without a timeout: %v", err)
	}
	defer in.Close()
	var b Batch
	defer b.Close()
	if outcome, got := reply(t, in, &b, []byte("{}"), nil); outcome != Reply || string(got) != "{}" {
		t.Errorf("%v, %q", outcome, got)
	}
}

// A process that is stopped for longer than the timeout has no guest that hangs.
func TestStoppedProcessIsNoTimeout(t *testing.T) {
	if !child(t, "") {
		return
	}
	const timeout, stopped = time.Second, 2 // seconds
	in, err := load(t, `(module (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $n i64)
    (loop $l
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (i64.store (i32.const 0) (local.get $n))
      (br_if $l (i64.lt_u (local.get $n) (i64.const 1000000000))))
    (local.get 4)))`).NewInstance(Config{Function: "filter", Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	done := make(chan struct{})
	calls := in.c.instance.watch.calls
	go func() {
		defer close(done)
		var b Batch
		defer b.Close()
		if outcome, got := reply(t, in, &b, []byte("{}"), nil); outcome != Reply || string(got) != "{}" {
			t.Errorf("%v, %q", outcome, got)
		}
	}()
	// The thread has entered and called, and the watchdog has seen the call.
	for in.c.instance.watch.calls < calls+2 || in.c.instance.watch.seen < calls+2 {
		select {
		case <-done:
			t.Fatal("the guest is too fast for this test")
		default:
			runtime.Gosched()
		}
	}
	waker := exec.Command("sh", "-c", fmt.Sprintf("sleep %d; kill -CONT %d", stopped, os.Getpid()))
	if err := waker.Start(); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-done
	waker.Wait()
}

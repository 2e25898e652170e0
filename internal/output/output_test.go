package output

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/forwardserver"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// guest is a guest that answers another chunk each time, as one with a state does.
type guest struct {
	mu    sync.Mutex
	runs  int
	run   func(n int, data []byte) ([]byte, bool)
	ended bool

	routed []filter.Routed // that come out of each run
}

func (g *guest) Run(_, data []byte) ([]byte, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.runs++
	if g.run == nil {
		return data, false
	}
	return g.run(g.runs, data)
}

func (g *guest) TakeRouted() []filter.Routed { return g.routed }

func (g *guest) Close() { g.mu.Lock(); g.ended = true; g.mu.Unlock() }

func (g *guest) count() int { g.mu.Lock(); defer g.mu.Unlock(); return g.runs }

// numbered returns a record that says how often the guest has run.
func numbered(n int, _ []byte) ([]byte, bool) {
	return record(n), true
}

func record(n int) []byte {
	return oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, 7), map[string]any{}, map[string]any{"n": n}))
}

// receiver keeps what came in.
type receiver struct {
	mu       sync.Mutex
	messages []forwardserver.Message
	verdict  func(n int) forwardserver.Verdict // called without the lock
}

func (r *receiver) received(m forwardserver.Message) forwardserver.Verdict {
	r.mu.Lock()
	n := len(r.messages)
	r.messages = append(r.messages, m)
	r.mu.Unlock()
	if r.verdict == nil {
		return forwardserver.Acknowledge
	}
	return r.verdict(n)
}

func (r *receiver) all() []forwardserver.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]forwardserver.Message(nil), r.messages...)
}

// parse reads options; those of the guest name nothing.
func parse(t *testing.T, set map[string]string) options.Output {
	t.Helper()
	values := map[string]string{"wasm_path": "none", "function_name": "none", "flush_timeout": "60s"}
	for k, v := range set {
		values[k] = v
	}
	o, err := options.ParseOutput("wasmtime.0", options.From(func(name string) (string, bool) { v, ok := values[name]; return v, ok }))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// newHost is a host whose engine goes round.
func newHost() *Host {
	return &Host{
		Thread: func(f func()) error { go f(); return nil },
		Silent: func() time.Duration { return 0 },
	}
}

func open(t *testing.T, g *guest, set map[string]string) *Output {
	t.Helper()
	o, err := start(parse(t, set), newSink(), newHost(), func() (transformer, error) { return g, nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func serve(t *testing.T, r *receiver) (*forwardserver.Server, string) {
	t.Helper()
	s, err := forwardserver.Listen(forwardserver.Config{Received: r.received})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s, "forward://" + s.Address()
}

func want(t *testing.T, got, want Result) {
	t.Helper()
	if got != want {
		t.Fatalf("result %d, want %d", got, want)
	}
}

// A far side that hangs up is tried again by Fluent Bit: the guest runs once, and
// what is sent is the same each time.
func TestRetryRepeatsTheBytes(t *testing.T) {
	r := receiver{verdict: func(n int) forwardserver.Verdict {
		if n < 3 {
			return forwardserver.Hangup
		}
		return forwardserver.Acknowledge
	}}
	_, to := serve(t, &r)
	g := &guest{run: numbered}
	o := open(t, g, map[string]string{"emit_to": to, "emit_tag": "new.$TAG"})
	for range 3 {
		want(t, o.Flush("app", record(0), false), Retry)
	}
	want(t, o.Flush("app", record(0), false), OK)
	if g.count() != 1 {
		t.Errorf("the guest ran %d times", g.count())
	}
	first := r.all()[0]
	for i, m := range r.all() {
		if m.Tag != "new.app" || m.ID != first.ID || !bytes.Equal(m.Events, first.Events) {
			t.Errorf("attempt %d sent something else: %+v", i, m)
		}
	}
	// The same chunk once more is another chunk.
	want(t, o.Flush("app", record(0), false), OK)
	if g.count() != 2 || len(r.all()) != 5 {
		t.Errorf("%d runs, %d messages", g.count(), len(r.all()))
	}
	if s := o.Stats(); s != (Stats{Chunks: 2, Delivered: 2, Retries: 3}) {
		t.Errorf("%+v", s)
	}
}

// An acknowledgement that comes after the flush has given up is found by the retry,
// and nothing is sent twice.
func TestLateAcknowledgement(t *testing.T) {
	release := make(chan struct{})
	r := receiver{verdict: func(int) forwardserver.Verdict { <-release; return forwardserver.Acknowledge }}
	_, to := serve(t, &r)
	o := open(t, &guest{}, map[string]string{"emit_to": to, "flush_timeout": "0"})
	want(t, o.Flush("app", record(1), false), Retry)
	want(t, o.Flush("app", record(1), false), Retry)
	close(release)
	o.mu.Lock()
	o.options.FlushTimeout = time.Minute
	o.mu.Unlock()
	want(t, o.Flush("app", record(1), false), OK)
	if n := len(r.all()); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

// Chunks with equal bytes are chunks of their own.
func TestEqualChunks(t *testing.T) {
	r := receiver{verdict: func(n int) forwardserver.Verdict {
		if n%3 == 0 {
			return forwardserver.Hangup
		}
		return forwardserver.Acknowledge
	}}
	_, to := serve(t, &r)
	o := open(t, &guest{}, map[string]string{"emit_to": to})
	const chunks = 40
	var wg sync.WaitGroup
	for range chunks {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for o.Flush("app", record(1), false) != OK {
			}
		}()
	}
	wg.Wait()
	acknowledged := 0
	for n := range r.all() {
		if n%3 != 0 {
			acknowledged++
		}
	}
	if acknowledged != chunks {
		t.Errorf("%d chunks delivered %d times", chunks, acknowledged)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.known) != 0 || o.bytes != 0 || o.order.Len() != 0 {
		t.Errorf("%d deliveries of %d bytes are left over", o.order.Len(), o.bytes)
	}
}

// A result that has been pushed out is made again; the memory stays within the
// limit.
func TestRetryCacheLimit(t *testing.T) {
	var r receiver
	s, to := serve(t, &r)
	s.Kill() // refuses
	g := &guest{}
	o := open(t, g, map[string]string{"emit_to": to, "retry_cache": "1M"})
	chunk := func(n int) []byte { return bytes.Repeat(record(n), 3000) } // some 80 KB
	for n := range 30 {
		want(t, o.Flush("app", chunk(n), false), Retry)
		o.mu.Lock()
		if o.bytes > 1_000_000 {
			t.Errorf("%d bytes are kept", o.bytes)
		}
		o.mu.Unlock()
	}
	want(t, o.Flush("app", chunk(29), false), Retry)
	if g.count() != 30 {
		t.Errorf("%d runs: the last result was not kept", g.count())
	}
	want(t, o.Flush("app", chunk(0), false), Retry)
	if g.count() != 31 {
		t.Errorf("%d runs: the first result was not pushed out", g.count())
	}
	if o.Stats().Evicted == 0 {
		t.Error("nothing was pushed out")
	}
	// Larger than the cache, but alone.
	alone := open(t, &guest{}, map[string]string{"emit_to": "file://" + filepath.Join(t.TempDir(), "f"), "retry_cache": "1M"})
	want(t, alone.Flush("app", bytes.Repeat(record(1), 100_000), false), OK)
}

// What is under way is never pushed out: beyond the limit, chunks have to wait.
func TestFull(t *testing.T) {
	release := make(chan struct{})
	r := receiver{verdict: func(int) forwardserver.Verdict { <-release; return forwardserver.Acknowledge }}
	_, to := serve(t, &r)
	g := &guest{}
	o := open(t, g, map[string]string{"emit_to": to, "retry_cache": "1M", "flush_timeout": "0"})
	chunk := func(n int) []byte { return bytes.Repeat(record(n), 10_000) }
	for n := range 20 {
		want(t, o.Flush("app", chunk(n), false), Retry)
	}
	if n := o.Stats().Chunks; n < 2 || n > 8 {
		t.Errorf("%d chunks were taken", n)
	}
	close(release)
}

func TestCorruptChunk(t *testing.T) {
	var r receiver
	_, to := serve(t, &r)
	o := open(t, &guest{}, map[string]string{"emit_to": to})
	whole := record(1)
	for n := 1; n < len(whole); n++ {
		want(t, o.Flush("app", append(record(0), whole[:n]...), false), Error)
	}
	lines := o.Lines()
	if len(lines) == 0 || !strings.Contains(lines[0].Text, "can't be read") {
		t.Errorf("%+v", lines)
	}
	if len(r.all()) != 0 {
		t.Error("a part of a corrupt chunk was sent")
	}
}

func TestPanicIsARetry(t *testing.T) {
	var r receiver
	_, to := serve(t, &r)
	g := &guest{run: func(n int, data []byte) ([]byte, bool) {
		if n == 1 {
			panic("oh")
		}
		return data, false
	}}
	o := open(t, g, map[string]string{"emit_to": to})
	want(t, o.Flush("app", record(1), false), Retry)
	want(t, o.Flush("app", record(1), false), OK)
}

// clumsy is a destination that panics when it packs its first parcel.
type clumsy struct {
	destination
	packed int
}

func (c *clumsy) pack(p *parcel) error {
	if c.packed++; c.packed == 1 {
		c.destination.pack(p)
		panic("oh")
	}
	return c.destination.pack(p)
}

// What is half packed is not taken for the whole.
func TestPanicWhilePacking(t *testing.T) {
	var r receiver
	_, to := serve(t, &r)
	o := open(t, &guest{}, map[string]string{"emit_to": to})
	o.destination = &clumsy{destination: o.destination}
	want(t, o.Flush("app", record(1), false), Retry)
	if len(r.all()) != 0 {
		t.Error("it was sent")
	}
	want(t, o.Flush("app", record(1), false), OK)
	if n := len(r.all()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// Nothing left of a chunk is nothing to send.
func TestAllDropped(t *testing.T) {
	var r receiver
	s, to := serve(t, &r)
	s.Kill()
	o := open(t, &guest{run: func(int, []byte) ([]byte, bool) { return nil, true }}, map[string]string{"emit_to": to})
	want(t, o.Flush("app", record(1), false), OK)
}

// Failures are told once in a while, and so is their end.
func TestLog(t *testing.T) {
	var r receiver
	s, to := serve(t, &r)
	address := s.Address()
	s.Kill()
	o := open(t, &guest{}, map[string]string{"emit_to": to})
	for range 10 {
		want(t, o.Flush("app", record(1), false), Retry)
	}
	s2, err := forwardserver.Listen(forwardserver.Config{Address: address, Received: r.received})
	if err != nil {
		t.Fatal(err)
	}
	defer s2.Kill()
	want(t, o.Flush("app", record(1), false), OK)
	lines := o.Lines()
	if len(lines) != 2 || !strings.Contains(lines[0].Text, "refused") || !strings.Contains(lines[0].Text, to) ||
		!strings.Contains(lines[1].Text, "again (9 more failures") {
		t.Errorf("%+v", lines)
	}
}

// Many workers, a far side that fails at random, and a race detector.
func TestHammer(t *testing.T) {
	r := receiver{verdict: func(n int) forwardserver.Verdict {
		switch n % 7 {
		case 2:
			return forwardserver.Hangup
		case 5:
			return forwardserver.Wrong
		}
		return forwardserver.Acknowledge
	}}
	s, to := serve(t, &r)
	o := open(t, &guest{}, map[string]string{"emit_to": to, "flush_timeout": "1ms", "emit_compress": "gzip"})
	const workers, chunks = 8, 50
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for c := range chunks {
				if c == 20 && w == 0 {
					s.HangUp()
				}
				for o.Flush("app", record(w*chunks+c), c%2 == 0) != OK {
				}
			}
		}()
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, m := range r.all() {
		seen[string(m.Events)] = true
	}
	if len(seen) != workers*chunks {
		t.Errorf("%d different chunks came, want %d", len(seen), workers*chunks)
	}
}

func TestFileIsReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.ndjson")
	o := open(t, &guest{}, map[string]string{"emit_to": "file://" + path})
	want(t, o.Flush("app", record(1), false), OK)
	want(t, o.Flush("app", record(2), false), OK)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	want(t, o.Flush("app", record(3), false), OK)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want(t, o.Flush("app", record(4), false), OK)
	for file, numbers := range map[string][]float64{path + ".1": {1, 2}, path: {4}} {
		var got []float64
		for _, line := range readLines(t, file) {
			got = append(got, line["n"].(float64))
		}
		if diff := cmp.Diff(numbers, got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

func readLines(t *testing.T, file string) []map[string]any {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []map[string]any
	for s := bufio.NewScanner(f); s.Scan(); {
		var v map[string]any
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		lines = append(lines, v)
	}
	return lines
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	o := open(t, &guest{}, map[string]string{"emit_to": "file:///dev/full"})
	want(t, o.Flush("app", record(1), false), Retry)
	if lines := o.Lines(); len(lines) != 1 || !strings.Contains(lines[0].Text, "no space") {
		t.Errorf("%+v", lines)
	}
}

func TestJSONLines(t *testing.T) {
	ts := oracle.Timestamp(1700000000, 7)
	chunk := bytes.Join([][]byte{
		oracle.Pack(oracle.Current(ts, map[string]any{}, map[string]any{"a": "x\n"})),
		oracle.Pack(oracle.Current(ts, map[string]any{"m": 1}, map[string]any{"b": 1.5})),
		oracle.Pack(oracle.Current(ts, map[string]any{}, map[string]any{})),
		oracle.Pack(oracle.Legacy(1700000001, map[string]any{"c": nil})),
	}, nil)
	for _, test := range []struct {
		set  map[string]string
		want string
	}{
		{nil, `{"date":1700000000.000000007,"a":"x\n"}
{"date":1700000000.000000007,"_metadata":{"m":1},"b":1.5}
{"date":1700000000.000000007}
{"date":1700000001.000000000,"c":null}
`},
		{map[string]string{"emit_date_key": "off", "emit_metadata": "off"}, `{"a":"x\n"}
{"b":1.5}
{}
{"c":null}
`},
		{map[string]string{"emit_date_key": "@t", "emit_metadata": "on"}, `{"@t":1700000000.000000007,"a":"x\n"}
{"@t":1700000000.000000007,"_metadata":{"m":1},"b":1.5}
{"@t":1700000000.000000007}
{"@t":1700000001.000000000,"c":null}
`},
	} {
		path := filepath.Join(t.TempDir(), "f")
		set := map[string]string{"emit_to": "file://" + path}
		for k, v := range test.set {
			set[k] = v
		}
		want(t, open(t, &guest{}, set).Flush("app", chunk, false), OK)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("%v: %s", test.set, diff)
		}
		readLines(t, path)
	}
}

// Events as they travel, by form and tag, read by another codec.
func TestDivide(t *testing.T) {
	ts := oracle.Timestamp(1700000000, 7)
	body := func(n int, level string) map[string]any { return map[string]any{"n": n, "level": level} }
	meta := map[string]any{"m": "v"}
	start := oracle.Current(oracle.Timestamp(1<<32-1, 0), map[string]any{"schema": "otlp"}, map[string]any{"resource": "r"})
	end := oracle.Current(oracle.Timestamp(1<<32-2, 0), map[string]any{}, map[string]any{})
	plain := func(n int, level string) []byte {
		return oracle.Pack(oracle.Current(ts, map[string]any{}, body(n, level)))
	}
	classic := func(n int, level string) []byte { return oracle.Pack(oracle.Legacy(ts, body(n, level))) }
	withMeta := func(n int, level string) []byte { return oracle.Pack(oracle.Current(ts, meta, body(n, level))) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

	for _, test := range []struct {
		name, tag, metadata string
		chunk               []byte
		want                map[string][]byte
	}{
		{"auto", "$TAG", "auto", join(plain(1, "a"), withMeta(2, "a"), classic(3, "a")),
			map[string][]byte{"app": join(classic(1, "a"), withMeta(2, "a"), classic(3, "a"))}},
		{"on", "$TAG", "on", join(plain(1, "a"), withMeta(2, "a"), classic(3, "a")),
			map[string][]byte{"app": join(plain(1, "a"), withMeta(2, "a"), plain(3, "a"))}},
		{"off", "$TAG", "off", join(oracle.Pack(start), plain(1, "a"), withMeta(2, "a"), oracle.Pack(end)),
			map[string][]byte{"app": join(classic(1, "a"), classic(2, "a"))}},
		{"groups", "$TAG", "auto", join(plain(0, "a"), oracle.Pack(start), plain(1, "a"), plain(2, "a"), oracle.Pack(end), plain(3, "a")),
			map[string][]byte{"app": join(classic(0, "a"), oracle.Pack(start), plain(1, "a"), plain(2, "a"), oracle.Pack(end), classic(3, "a"))}},
		{"tags", "x.$level", "auto", join(plain(1, "a"), plain(2, "b"), plain(3, "a")),
			map[string][]byte{"x.a": join(classic(1, "a"), classic(3, "a")), "x.b": classic(2, "b")}},
		{"tags and groups", "x.$level", "on", join(oracle.Pack(start), plain(1, "a"), plain(2, "b"), oracle.Pack(end), plain(3, "b")),
			map[string][]byte{
				"x.a": join(oracle.Pack(start), plain(1, "a"), oracle.Pack(end)),
				"x.b": join(oracle.Pack(start), plain(2, "b"), oracle.Pack(end), plain(3, "b"))}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := parse(t, map[string]string{"emit_to": "stdout", "emit_tag": test.tag, "emit_metadata": test.metadata})
			groups, err := divide(test.chunk, "app", o.Tag, o.Metadata)
			if err != nil {
				t.Fatal(err)
			}
			if len(groups) != len(test.want) {
				t.Errorf("%d groups, want %d", len(groups), len(test.want))
			}
			for _, g := range groups {
				got, err := oracle.Unpack(g.events)
				if err != nil {
					t.Fatal(err)
				}
				if diff := oracle.Diff(test.want[g.tag], g.events); diff != "" {
					t.Errorf("%s (-want +got):\n%s", g.tag, diff)
				}
				if g.count != len(got) {
					t.Errorf("%s: count %d, of %d", g.tag, g.count, len(got))
				}
			}
		})
	}
}

// A large group goes in several messages, whose IDs differ.
func TestLargeGroupsAreSplit(t *testing.T) {
	var r receiver
	_, to := serve(t, &r)
	o := open(t, &guest{}, map[string]string{"emit_to": to})
	chunk := bytes.Repeat(record(1), 100_000)
	want(t, o.Flush("app", chunk, false), OK)
	ids, size := map[string]bool{}, 0
	for _, m := range r.all() {
		ids[m.ID] = true
		size += m.Size
		if len(m.Events) > maxGroupBytes+1000 {
			t.Errorf("a message of %d bytes", len(m.Events))
		}
	}
	if len(ids) < 2 || len(ids) != len(r.all()) || size != 100_000 {
		t.Errorf("%d messages, %d IDs, %d events", len(r.all()), len(ids), size)
	}
}

func TestStartFails(t *testing.T) {
	_, err := start(parse(t, map[string]string{"emit_to": "stdout"}), newSink(), newHost(),
		func() (transformer, error) { return nil, fmt.Errorf("no such module") })
	if err == nil {
		t.Error("no error")
	}
	_, err = start(parse(t, map[string]string{"emit_to": "stdout"}), newSink(), newHost(),
		func() (transformer, error) { panic("oh") })
	if err == nil {
		t.Error("no error after a panic")
	}
	_, err = start(parse(t, map[string]string{"emit_to": "stdout"}), newSink(),
		&Host{Thread: func(func()) error { return fmt.Errorf("no thread") }}, nil)
	if err == nil {
		t.Error("no error without a thread")
	}
}

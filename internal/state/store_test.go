package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// From tests of other implementations of SipHash-1-3, with the key 0.
func TestSipHash(t *testing.T) {
	for text, want := range map[string]string{"": "d1fba762150c532c", "siphash": "8264ceeccb16bcbe"} {
		if got := fmt.Sprintf("%016x", siphash([]byte(text))); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func newStore(tb testing.TB, limit int64) *State {
	s := New(limit, 0)
	tb.Cleanup(s.Close)
	return s
}

func (s *State) at(now time.Duration, name string) key { return key{s, uint64(now), []byte(name)} }

func counter(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

const keep = -1 // FLBWT_TTL_KEEP

// model is what a store is, without a limit.
type model map[string]modelled

type modelled struct {
	value   []byte
	expires time.Duration // 0: never
}

func (m model) get(now time.Duration, name string) *modelled {
	e, ok := m[name]
	if ok && e.expires != 0 && e.expires <= now {
		delete(m, name)
		ok = false
	}
	if !ok {
		return nil
	}
	return &e
}

func (m model) set(now time.Duration, name string, value []byte, ttl time.Duration) {
	e := modelled{value: value}
	switch old := m.get(now, name); {
	case ttl == math.MaxInt64:
	case ttl > 0:
		e.expires = now + ttl
	case ttl == keep && old != nil:
		e.expires = old.expires
	}
	m[name] = e
}

// bytes is what live keys count for: a header of 32 bytes and the two, in blocks of 16, and 16 that
// malloc adds.
func (m model) bytes(now time.Duration) (n int) {
	for name := range m {
		if e := m.get(now, name); e != nil {
			n += charged(name, e.value)
		}
	}
	return n
}

func charged(name string, value []byte) int { return (32+len(name)+len(value)+15)/16*16 + 16 }

// FuzzStore has any operations done by a store and by a map.
func FuzzStore(f *testing.F) {
	f.Add([]byte("\x00\x01\x10\x01\x01\x01\x02\x03\x00\x00\x05\x01\x02\x03\x04\x05\x06\x07\x08\x09"), uint16(500))
	f.Add(bytes.Repeat([]byte("\x00\x03\x20\x02\x02\x02\x01\x01\x03\x05\x01\x00\x06\x01\x02\x04"), 40), uint16(2000))
	f.Fuzz(checkScript)
}

// The same with some that are made up, which goes on where fuzzing has not found any.
func TestStoreIsAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 1000 {
		script := make([]byte, 10+i*3)
		for k := range script {
			script[k] = byte(r.Uint32())
		}
		checkScript(t, script, uint16(r.Uint32N(1<<(10+i%7))))
	}
}

// checkScript does the operations that the bytes of a script stand for. So many keys as there can be
// here are swept at once, so that a store refuses only what has no room among those that have not
// expired.
func checkScript(t *testing.T, script []byte, limit uint16) {
	s := New(int64(limit)+1, 0)
	defer s.Close()
	m := make(model)
	now := time.Duration(1)
	next := func() (b byte) {
		if len(script) > 0 {
			b, script = script[0], script[1:]
		}
		return b
	}
	refused := uint64(0)
	check := func(what string, r result, name string, value []byte, ttl time.Duration) {
		t.Helper()
		if r == stored {
			m.set(now, name, value, ttl)
		}
		stats := s.StoreStats()
		if stats.Bytes > stats.LimitBytes {
			t.Fatalf("%s: %d bytes of %d", what, stats.Bytes, stats.LimitBytes)
		}
		if r == full {
			refused++
			need := m.bytes(now) + charged(name, value) + int(s.tableBytes())
			if old := m.get(now, name); old != nil {
				need -= charged(name, old.value)
			}
			if uint64(need) <= stats.LimitBytes {
				t.Fatalf("%s of %d bytes is refused, and %d of %d bytes would do", what, len(value), need, stats.LimitBytes)
			}
		}
		if stats.Refused != refused {
			t.Fatalf("%s: %d refused, want %d", what, stats.Refused, refused)
		}
	}
	for len(script) > 0 {
		verb, name := next()%6, fmt.Sprint(next()%64)
		k := s.at(now, name)
		ttl := []time.Duration{0, keep, 1, 5, 50, math.MaxInt64}[next()%6]
		value := bytes.Repeat([]byte{next()}, int(next())%100)
		if next()%4 == 0 {
			value = counter(int64(len(value)))
		}
		old := m.get(now, name)
		switch verb {
		case 0:
			got, ok := k.get()
			if ok != (old != nil) || ok && !bytes.Equal(got, old.value) {
				t.Fatalf("%s: %q, %v; want %v", name, got, ok, old)
			}
		case 1:
			r := k.set(value, int64(ttl))
			if r != stored && r != full {
				t.Fatal(r)
			}
			check("set", r, name, value, ttl)
		case 2:
			if found := k.delete(); found != (old != nil) {
				t.Fatalf("delete: %v, want %v", found, old)
			}
			delete(m, name)
		case 3:
			delta := int64(len(value)) << next()
			sum, r := k.add(delta, int64(ttl))
			switch {
			case old != nil && len(old.value) != 8:
				if r != noCounter {
					t.Fatalf("%v is added to", old)
				}
			case old != nil:
				want := int64(binary.LittleEndian.Uint64(old.value)) + delta
				if r != stored || sum != want {
					t.Fatalf("%d, %v, want %d", sum, r, want)
				}
				check("add", r, name, counter(want), keep)
			default:
				if r == stored && sum != delta {
					t.Fatalf("%d, want %d", sum, delta)
				}
				check("add", r, name, counter(delta), ttl)
			}
		case 4:
			r := k.cas(nil, value, int64(ttl))
			if (r == differs) != (old != nil) {
				t.Fatalf("cas of none: %v, there is %v", r, old)
			}
			check("cas", r, name, value, ttl)
		case 5:
			was := value
			if old != nil && next()%2 == 0 {
				was = old.value
			}
			r := k.cas(was, append(value, '!'), int64(ttl))
			if (r == differs) != (old == nil || !bytes.Equal(old.value, was)) {
				t.Fatalf("cas of %q: %v, there is %v", was, r, old)
			}
			check("cas", r, name, append(value, '!'), ttl)
		}
		now += time.Duration(next() % 8)
	}
	for name := range m {
		old := m.get(now, name)
		if got, ok := s.at(now, name).get(); ok != (old != nil) || ok && !bytes.Equal(got, old.value) {
			t.Fatalf("at last %s: %q, %v; want %v", name, got, ok, old)
		}
	}
	// What has expired is found by looking for it.
	for i := range 64 {
		s.at(now, fmt.Sprint(i)).get()
	}
	if got, bytes := s.StoreStats(), m.bytes(now)+int(s.tableBytes()); got.Keys != uint64(len(m)) || got.Bytes != uint64(bytes) {
		t.Fatalf("at last %+v, want %d keys and %d bytes", got, len(m), bytes)
	}
}

// A store with keys without number, most of which expire, keeps what has not, and no more bytes
// than it may have; refusals end once others have expired.
func TestStoreGrows(t *testing.T) {
	const limit, n = 8 << 20, 60_000
	s := newStore(t, limit)
	for i := range n {
		if r := s.at(1, fmt.Sprint(i)).set(counter(int64(i)), int64(1+i%2)*1000); r != stored {
			t.Fatal(i, r)
		}
	}
	for i := range n {
		if got, ok := s.at(1000, fmt.Sprint(i)).get(); !ok || !bytes.Equal(got, counter(int64(i))) {
			t.Fatalf("%d: %q, %v", i, got, ok)
		}
	}
	stats := s.StoreStats()
	if stats.Keys != n || stats.Bytes > limit || s.tableBytes() < n*8/2 {
		t.Fatalf("%+v, %d of tables", stats, s.tableBytes())
	}
	// Half of them have expired, and make room while others are set.
	for i := range n {
		if r := s.at(1500, fmt.Sprint("x", i)).set(counter(0), 0); r != stored {
			t.Fatalf("%d: %v, %+v", i, r, s.StoreStats())
		}
		if i%2 == 1 && i < 1000 {
			if got, ok := s.at(1500, fmt.Sprint(i)).get(); !ok || !bytes.Equal(got, counter(int64(i))) {
				t.Fatalf("%d: %q, %v", i, got, ok)
			}
		}
	}
	if keys := s.StoreStats().Keys; keys < n+n/2 || keys > n+n/2+n/10 {
		t.Errorf("%d keys after a sweep, %d have not expired", keys, n+n/2)
	}
}

// Expired keys in all shards make room for a value that has none.
func TestExpiredMakeRoom(t *testing.T) {
	s := newStore(t, 200_000)
	for i := 0; ; i++ {
		if s.at(1, fmt.Sprint(i)).set(make([]byte, 50), 1000) == full {
			break
		}
	}
	if r := s.at(999, "large").set(make([]byte, 150_000), 0); r != full {
		t.Errorf("%v before the others expire", r)
	}
	if r := s.at(1001, "large").set(make([]byte, 150_000), 0); r != stored {
		t.Errorf("%v after the others have expired: %+v", r, s.StoreStats())
	}
	if got := s.StoreStats(); got.Refused != 2 || got.Keys > 700 {
		t.Errorf("%+v", got)
	}
}

func TestStoreLimits(t *testing.T) {
	s := newStore(t, 16<<20)
	long := strings.Repeat("k", maxKeyBytes)
	for name, test := range map[string]struct {
		key   string
		value int
		want  result
	}{
		"longest":        {long, maxValueBytes, stored},
		"key too long":   {long + "k", 0, full},
		"value too long": {"v", maxValueBytes + 1, full},
		"both empty":     {"", 0, stored},
	} {
		k := s.at(1, test.key)
		if r := k.set(make([]byte, test.value), 0); r != test.want {
			t.Errorf("%s: %v", name, r)
		}
		if got, ok := k.get(); ok != (test.want == stored) || len(got) != test.value && ok {
			t.Errorf("%s: %d bytes, %v", name, len(got), ok)
		}
	}
	if long := s.at(1, long+"k"); long.delete() || long.cas(nil, nil, 0) != full {
		t.Error("there is a key that is too long")
	}
	if _, r := s.at(1, long+"k").add(1, 0); r != full {
		t.Errorf("add: %v", r)
	}
	// Wraps.
	s.at(1, "n").set(counter(math.MaxInt64), 0)
	if sum, r := s.at(1, "n").add(1, 0); sum != math.MinInt64 || r != stored {
		t.Errorf("%d, %v", sum, r)
	}
	// A time without end, from late on.
	late := key{s, math.MaxUint64 - 5, []byte("late")}
	late.set(nil, 100)
	if _, ok := late.get(); !ok {
		t.Error("the end has wrapped")
	}
}

// A word about refusals comes once in 10 s.
func TestTell(t *testing.T) {
	s := newStore(t, 1)
	var told []int
	for now := range 35 {
		if s.tell(uint64(now) * uint64(time.Second)) {
			told = append(told, now)
		}
	}
	if fmt.Sprint(told) != "[0 11 22 33]" && fmt.Sprint(told) != "[0 10 20 30]" {
		t.Error(told)
	}
}

// No increment gets lost among threads, and of those that want a key one gets it.
func TestStoreTogether(t *testing.T) {
	const threads, rounds = 8, 2000
	s := newStore(t, 1<<20)
	var wg sync.WaitGroup
	won := make([]int, threads)
	for g := range threads {
		wg.Go(func() {
			for i := range rounds {
				if _, r := s.at(1, fmt.Sprint(i%10)).add(1, 0); r != stored {
					t.Error(r)
				}
				if s.at(1, fmt.Sprint("once", i)).cas(nil, []byte{byte(g)}, 0) == stored {
					won[g]++
				}
			}
		})
	}
	wg.Wait()
	total := int64(0)
	for i := range 10 {
		value, _ := s.at(1, fmt.Sprint(i)).get()
		total += int64(binary.LittleEndian.Uint64(value))
	}
	all := 0
	for _, n := range won {
		all += n
	}
	if total != threads*rounds || all != rounds {
		t.Errorf("counted %d, want %d; %d won, want %d", total, threads*rounds, all, rounds)
	}
}

// The C code has no data race that gcc's sanitizer of threads finds while all of it is called at once.
func TestThreads(t *testing.T) {
	const source = "testdata/threads.c"
	if _, err := os.Stat(source); err != nil { // go test then runs it again when it has changed
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "threads")
	build := exec.Command("gcc", "-std=gnu11", "-O1", "-g", "-fsanitize=thread", "-o", program, source, "store.c", "-lpthread", "-lm")
	if out, err := build.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("libtsan")) {
			t.Skipf("gcc has no sanitizer of threads: %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program).CombinedOutput()
	if bytes.Contains(out, []byte("unexpected memory mapping")) {
		t.Skipf("the sanitizer does not run here: %s", out)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

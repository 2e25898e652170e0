package host

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/forwardserver"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// Numbered records go to a far side that is killed and started again ten times, is
// not there, hangs up and acknowledges late. SOAK_OUTPUT_RECORDS says how many.
func TestOutputKilledServer(t *testing.T) {
	records, perChunk := 20_000, 100
	if v := os.Getenv("SOAK_OUTPUT_RECORDS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		records, perChunk = n, max(perChunk, n/1000)
	}
	const kills, workers = 10, 4
	ledger := forwardserver.NewLedger(records)
	var messages, retries, delivered, hangups, late atomic.Int64
	received := func(m forwardserver.Message) forwardserver.Verdict {
		ledger.Take(m.Events)
		switch n := messages.Add(1); {
		case n%40 == 7:
			hangups.Add(1)
			return forwardserver.Hangup
		case n%40 == 27: // later than flush_timeout: the retry finds it
			late.Add(1)
			<-time.After(60 * time.Millisecond)
		}
		return forwardserver.Acknowledge
	}
	listen := func(address string) *forwardserver.Server {
		s, err := forwardserver.Listen(forwardserver.Config{Address: address, Received: received})
		if err != nil {
			t.Error(err)
		}
		return s
	}
	server := listen("")
	address := server.Address()

	p := startProxy(t, 48)
	id, ret := p.output(settings{"wasm_path": guest(t, "stamp"), "function_name": function, "flush_timeout": "20ms",
		"emit_timeout": "5s", "emit_to": "forward://" + address, "emit_tag": "$TAG"})
	if ret != "1" {
		t.Fatalf("init returned %s", ret)
	}

	chunks := make(chan []byte, workers)
	go func() {
		defer close(chunks)
		for n := 0; n < records; {
			var chunk []byte
			for end := min(n+perChunk, records); n < end; n++ {
				chunk = append(chunk, oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, uint32(n)), map[string]any{},
					map[string]any{"n": n, "log": "GET /items/7 200"}))...)
			}
			chunks <- chunk
		}
	}()
	var commands sync.Mutex
	var wg sync.WaitGroup
	failed := make(chan string, workers)
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for chunk := range chunks {
				for again := true; again; {
					commands.Lock()
					done := p.begin(id, true, "app", chunk)
					commands.Unlock()
					switch r, ok := <-done; {
					case !ok:
						failed <- "the host died"
						return
					case r == flushOK:
						again = false
						delivered.Add(1)
					case r == flushRetry:
						retries.Add(1)
					default:
						failed <- fmt.Sprintf("a flush answered %d", r)
						return
					}
				}
			}
		}()
	}
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }()

	// The far side goes away each time a part has come, and comes back when some
	// flushes have found it gone.
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	until := func(condition func() bool) {
		for !condition() {
			select {
			case <-tick.C:
			case <-all:
				return
			case text := <-failed:
				t.Fatal(text)
			}
		}
	}
	total := int64((records + perChunk - 1) / perChunk)
	done := 0
	for k := range kills {
		until(func() bool { return delivered.Load() >= total*int64(k+1)/(kills+2) })
		server.Kill()
		before := retries.Load()
		until(func() bool { return retries.Load() >= before+2*workers })
		if server = listen(address); server == nil {
			t.FailNow()
		}
		done++
	}
	<-all
	server.Kill()
	distinct, again, changed, err := ledger.Counts()
	if distinct != records || changed != 0 || err != nil {
		t.Errorf("%d of %d records came, %d changed: %v", distinct, records, changed, err)
	}
	// Each record that came again was in a message whose acknowledgement was lost.
	if limit := (int(hangups.Load()) + kills*workers) * perChunk; again > limit {
		t.Errorf("%d records came again, at most %d could", again, limit)
	}
	p.do("exit", id)
	fmt.Printf("soak: output: %d records in %d chunks: all came, %d of them again, 0 with other bytes; far side killed %d times, "+
		"%d hang-ups, %d late acknowledgements, %d retries\n", distinct, total, again, done, hangups.Load(), late.Load(), retries.Load())
}

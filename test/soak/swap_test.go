package soak

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// replaceFile has another file take the place of one, all at once.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	writeFile(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// swapVersion is the version after so many swaps.
func swapVersion(n int) string { return string('A' + byte(n%26)) }

// takenOver is in the log once for each version that has taken over.
const takenOver = "reloaded: module "

// Versions of a module take over from each other under load, with one instance and with several, for batches
// too: records say which one they went through. None is lost, doubled, moved or changed, versions come one
// after the other, and nothing grows.
func TestSwaps(t *testing.T) {
	if len(fluentBits) == 0 {
		t.Skip("*** SWAPS NOT TESTED: no Fluent Bit; set FLUENT_BIT, or have fluent-bit on PATH ***")
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, workers := range []string{"1", "2"} {
			t.Run(workers+" workers", func(t *testing.T) { swaps(t, fb, workers) })
		}
	})
}

func swaps(t *testing.T, fb fluentBit, workers string) {
	dir := t.TempDir()
	in, err := os.Create(filepath.Join(dir, "in.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	module := filepath.Join(dir, "guest.wat")
	replaceFile(t, module, guests.Version(swapVersion(0)))
	writeFile(t, filepath.Join(dir, "parsers.conf"), "[PARSER]\n    name json\n    format json\n")
	p := fb.start(t, dir, section("SERVICE", "flush", "0.2", "grace", "5", "log_level", "info", "parsers_file", filepath.Join(dir, "parsers.conf"))+
		section("INPUT", "name", "tail", "tag", "told", "path", in.Name(), "parser", "json", "read_from_head", "true",
			"refresh_interval", "1", "buffer_chunk_size", "2M", "buffer_max_size", "2M")+
		section("FILTER", "name", "wasmtime", "match", "*", "wasm_path", module, "function_name", "filter",
			"reload_module", "on", "reload_interval", "10ms", "workers", workers)+
		section("OUTPUT", "name", "file", "match", "*", "path", dir, "file", "told.out", "format", "plain"),
		"-e", pluginPath)
	s := &stream{name: "told", author: newAuthor(1, nil), in: in, path: filepath.Join(dir, "told.out"), window: 5000}
	seen := 0 // swaps, by the records that have come
	s.unwrap = func(text string) string {
		const head = `{"version":"?","record":`
		rest, ok := strings.CutSuffix(text, "}")
		if !ok || len(rest) < len(head) {
			return text
		}
		if version := rest[12:13]; version == swapVersion(seen+1) {
			seen++
		} else if version != swapVersion(seen) {
			s.wrong(&s.reordered, "version %s comes after %s", version, swapVersion(seen))
		}
		return rest[len(head):]
	}
	var sizes []size
	asked, limit := 0, time.Time{}
	began := time.Now()
	p.run([]*stream{s}, func() bool { return p.swapped() >= soakSwaps }, func() {
		if s.next == 0 { // it has not read the first one
			return
		}
		if p.swapped() < asked {
			if time.Now().After(limit) {
				t.Fatalf("swap %d did not take place within %v", asked, deadline)
			}
			return
		}
		sizes = append(sizes, p.size())
		asked++
		limit = time.Now().Add(deadline)
		replaceFile(t, module, guests.Version(swapVersion(asked)))
	})
	took := time.Since(began)
	p.stop()
	if _, err := s.read(); err != nil {
		t.Fatal(err)
	}
	if err := s.err(); err != nil || seen != soakSwaps {
		t.Errorf("%d versions have taken over, records went through %d of them: %v", soakSwaps, seen, err)
	}
	window := max(1, len(sizes)/10)
	early, late := median(sizes[len(sizes)/4:len(sizes)/4+window]), median(sizes[len(sizes)-window:])
	if late.ownKB-early.ownKB > early.ownKB/10+heapKB || late.threads-early.threads > 2 || late.files > early.files {
		t.Errorf("after a quarter of the swaps %v, at the end %v", early, late)
	}
	figures("Fluent Bit %s, %s workers, %d swaps in %v: %v; after a quarter of them %v, at the end %v",
		fb.version, workers, soakSwaps, took.Round(time.Second), s.totals(), early, late)
}

// swapped returns how many versions have taken over.
func (p *process) swapped() int {
	p.t.Helper()
	log, err := os.ReadFile(p.logPath)
	if err != nil {
		p.t.Fatal(err)
	}
	return bytes.Count(log, []byte(takenOver))
}

// What a swap costs the chunk with which it takes place: less than a chunk takes, and not what compiling does.
func TestSwapPause(t *testing.T) {
	// Functions that nobody calls, to have something to compile.
	var ballast strings.Builder
	for i := range 150 {
		fmt.Fprintf(&ballast, "(func (export \"f%d\") (param i32 i32) (result i32) (local.get 0)", i)
		for k := range 40 {
			fmt.Fprintf(&ballast, " (i32.const %d) (i32.mul) (local.get 1) (i32.xor) (i32.const %d) (i32.rotl)", i*k+1, k)
		}
		ballast.WriteString(")\n")
	}
	version := func(n int) string {
		return strings.Replace(guests.Version(swapVersion(n)), "(data ", ballast.String()+"(data ", 1)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "guest.wat")
	replaceFile(t, path, version(0))
	values := map[string]string{"wasm_path": path, "function_name": "filter", "reload_module": "on", "reload_interval": "10ms"}
	o, err := options.Parse(options.From(func(name string) (string, bool) { v, ok := values[name]; return v, ok }))
	if err != nil {
		t.Fatal(err)
	}
	swapped := 0
	f, err := filter.New(o, func(level hostlog.Level, line string) {
		if strings.HasPrefix(line, takenOver) {
			swapped++
		} else if level <= hostlog.Warn {
			t.Error(line)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	compile := f.Report().Module.LoadTime

	var data []byte
	a := newAuthor(1, nil)
	for n := range uint64(100) {
		data = appendEvent(data, n, a)
	}
	var with, without []time.Duration // chunks, those with a swap apart
	limit := time.Now().Add(10 * deadline)
	for asked := 0; swapped < soakSwaps; {
		if asked == swapped {
			asked++
			replaceFile(t, path, version(asked))
		}
		if time.Now().After(limit) {
			t.Fatalf("%d swaps within %v", swapped, 10*deadline)
		}
		before, start := swapped, time.Now()
		f.Run([]byte("swap"), data)
		if took := time.Since(start); swapped > before {
			with = append(with, took)
		} else {
			without = append(without, took)
		}
	}
	if s := f.Stats(); s.Failed > 0 || s.Returned != uint64(100*(len(with)+len(without))) {
		t.Errorf("%v", s)
	}
	slices.Sort(with)
	slices.Sort(without)
	at := func(list []time.Duration, share float64) time.Duration {
		return list[min(len(list)-1, int(share*float64(len(list))))].Round(time.Microsecond)
	}
	if got := at(with, 0.5); got > compile/4 {
		t.Errorf("a chunk with which a version takes over takes %v, and a version is compiled in %v", got, compile)
	}
	figures("%d swaps of a module that is compiled in %v: a chunk of 100 records takes %v, with a swap %v; 99.9 %% %v; the longest %v, with a swap %v",
		soakSwaps, compile.Round(time.Millisecond), at(without, 0.5), at(with, 0.5), at(without, 0.999), at(without, 1), at(with, 1))
}

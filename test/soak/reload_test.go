package soak

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// The filters of a Fluent Bit that is reloaded.
var reloadFilters = []filterSpec{
	{"hostile", "told", "hostile", []string{"timeout", "100ms", "breaker_failures", "0", "recycle_memory", "32M"}},
	{"grow", "told", "grow", nil},
	{"spaced", "told", "spaced", nil},
}

// reloaded is what became of a Fluent Bit that was reloaded.
type reloaded struct {
	totals
	err         error
	sizes       []size   // after each reload, with no record on its way
	early, late size     // medians of some reloads after the first ones, and of the last ones
	unclosed    []string // logs of pipelines whose filters did not all say what they had counted
}

// Hot reload under load: what Fluent Bit does without the plugin, run beside it,
// is the measure.
func TestReload(t *testing.T) {
	if len(fluentBits) == 0 {
		t.Skip("*** RELOADS NOT TESTED: no Fluent Bit; set FLUENT_BIT, or have fluent-bit on PATH ***")
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.reloads {
			t.Skip("this Fluent Bit has no hot reload")
		}
		var with, without reloaded
		t.Run("both", func(t *testing.T) {
			t.Run("with", func(t *testing.T) {
				t.Parallel()
				with = reload(t, fb, reloadFilters)
			})
			t.Run("without", func(t *testing.T) {
				t.Parallel()
				without = reload(t, fb, nil)
			})
		})
		if t.Failed() {
			return
		}
		for i, s := range with.sizes {
			if i%max(1, soakReloads/10) == 0 {
				t.Logf("after reload %d: %v; without the filters %v", i+1, s, without.sizes[i])
			}
		}
		if without.err != nil {
			t.Logf("Fluent Bit without the filters: %v", without.err)
		}
		if with.lost > without.lost || with.duplicated > without.duplicated ||
			with.reordered > without.reordered || with.changed > without.changed {
			t.Errorf("with the filters: %v; without: %v", with.err, without.err)
		}
		// Once in 2,000 reloads of 4.2.8 the last lines of a pipeline were not in the
		// log; why is not known. Its threads had ended. So a few are let pass, but
		// shown.
		if n := len(with.unclosed); n > 0 {
			t.Logf("of %d pipelines, %d ended without the last words of all filters; the first:\n%s",
				soakReloads+1, n, fluentbit.Clip(with.unclosed[0]))
			if n > 1+soakReloads/50 {
				t.Errorf("%d pipelines ended without the last words of all filters", n)
			}
		}

		grown := func(r reloaded) size {
			return size{r.late.ownKB - r.early.ownKB, r.late.threads - r.early.threads, r.late.files - r.early.files}
		}
		own, host := grown(with), grown(without)
		if most := with.early.ownKB/10 + heapKB; own.ownKB-max(0, host.ownKB) > most {
			t.Errorf("memory grew by %d kB, without the filters by %d kB; at most %d kB are allowed", own.ownKB, host.ownKB, most)
		}
		// The Go runtime may take a thread more when it is busy, now and then.
		if own.threads-max(0, host.threads) > 2 {
			t.Errorf("threads: %d more, without the filters %d", own.threads, host.threads)
		}
		if own.files-max(0, host.files) > 0 {
			t.Errorf("descriptors: %d more, without the filters %d", own.files, host.files)
		}
		figures("Fluent Bit %s, %d reloads: %v; after the first ones %v, at the end %v; without the filters: %v; after the first ones %v, at the end %v",
			fb.version, soakReloads, with.totals, with.early, with.late, without.totals, without.early, without.late)
	})
}

func reload(t *testing.T, fb fluentBit, filters []filterSpec) reloaded {
	dir := t.TempDir()
	in, err := os.Create(filepath.Join(dir, "in.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	// tail remembers in its database what it has read.
	writeFile(t, filepath.Join(dir, "parsers.conf"), "[PARSER]\n    name json\n    format json\n")
	args := []string{"-Y"}
	if filters != nil {
		args = append(args, "-e", pluginPath)
	}
	p := fb.start(t, dir, reloadConfig(t, dir, in.Name(), filters), args...)
	s := &stream{name: "told", author: newAuthor(1, tell(quickLetters)), in: in,
		path: filepath.Join(dir, "told.out"), window: 1000}
	streams := []*stream{s}
	p.run(streams, func() bool { return s.next > 0 }, nil)

	random := rand.New(rand.NewPCG(soakSeed, 4))
	var r reloaded
	for i := range soakReloads {
		// The signal is sent somewhere in a row of records, and sent again if
		// Fluent Bit has not taken it: it may not be through with the last reload.
		next := time.Now().Add(time.Duration(random.IntN(100)) * time.Millisecond)
		came, limit := uint64(0), time.Now().Add(deadline)
		p.run(streams, func() bool {
			if p.starts() < i+2 {
				if time.Now().After(limit) {
					t.Fatalf("reload %d did not take place within %v", i+1, deadline)
				}
				return false
			}
			if came == 0 {
				came = s.sent
			}
			return s.next > came // something sent since has come out
		}, func() {
			if p.starts() == i+1 && time.Now().After(next) {
				p.signal(syscall.SIGHUP)
				next = time.Now().Add(10 * time.Second)
			}
		})
		r.sizes = append(r.sizes, p.size())
	}
	p.stop()
	if _, err := s.read(); err != nil {
		t.Fatal(err)
	}
	r.totals, r.err = s.totals(), s.err()
	for _, pipeline := range strings.Split(p.log(), startLine)[1:] {
		if len(closing.FindAllString(pipeline, -1)) != len(filters) {
			r.unclosed = append(r.unclosed, pipeline)
		}
	}
	window := max(1, soakReloads/10)
	first := min(window, len(r.sizes)-1)
	r.early = median(r.sizes[first:min(first+window, len(r.sizes))])
	r.late = median(r.sizes[len(r.sizes)-window:])
	return r
}

// median takes the median of each of the figures.
func median(sizes []size) size {
	of := func(figure func(size) int) int {
		var all []int
		for _, s := range sizes {
			all = append(all, figure(s))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return size{
		of(func(s size) int { return s.ownKB }),
		of(func(s size) int { return s.threads }),
		of(func(s size) int { return s.files }),
	}
}

func reloadConfig(t *testing.T, dir, in string, filters []filterSpec) string {
	t.Helper()
	return section("SERVICE", "flush", "0.2", "grace", "5", "log_level", "info",
		"parsers_file", filepath.Join(dir, "parsers.conf")) +
		section("INPUT", "name", "tail", "tag", "told", "path", in, "parser", "json",
			"db", filepath.Join(dir, "in.db"), "read_from_head", "true", "refresh_interval", "1",
			// So that a read ends where a write did: what tail has read of a line
			// whose end it has not seen is lost in a reload (4.2.8).
			"buffer_chunk_size", "2M", "buffer_max_size", "2M") +
		filterSections(t, dir, filters) +
		section("OUTPUT", "name", "file", "match", "*", "path", dir, "file", "told.out", "format", "plain")
}

package soak

import (
	"bytes"
	"embed"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

//go:embed testdata/*.wat
var ownGuests embed.FS

// guest writes a guest of this package or of test/guests to dir.
func guest(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name+".wat")
	text, err := ownGuests.ReadFile("testdata/" + name + ".wat")
	if err != nil {
		text = []byte(guests.WAT(name))
	}
	writeFile(t, path, string(text))
	return path
}

// A filterSpec is a filter of a soak: its name in the log, its guest, and options
// in pairs.
type filterSpec struct {
	name, match, guest string
	options            []string
}

// The filters of the soak. Records of a stream run through all that match, and
// come out as they went in, whatever a filter did.
var soakFilters = []filterSpec{
	// Goes wrong on records that tell it to.
	{"hostile", "told", "hostile", []string{"timeout", "100ms", "breaker_failures", "0", "recycle_memory", "32M"}},
	// A third of the calls, never the breaker's.
	{"third", "told", "trap_every_third", nil},
	// A page for each record.
	{"grow", "told", "grow", nil},
	// All of the calls, so that the breaker opens again and again.
	{"broken", "told", "oob_pointer", []string{"breaker_failures", "20", "breaker_backoff", "10ms"}},
	// A reply that is not the record's text.
	{"spaced", "told", "spaced", nil},
	// Faults of the processor on every record.
	{"store", "faults", "oob_store", []string{"breaker_failures", "0"}},
	{"divide", "faults", "div_by_zero", []string{"breaker_failures", "0"}},
	{"stack", "faults", "stack_overflow", []string{"breaker_failures", "0"}},
	// Batch guests: one that goes wrong on records that tell it to, each of which is found by retry_batch,
	{"batch_hostile", "batched", "batch_told", []string{"timeout", "100ms", "breaker_failures", "0", "recycle_memory", "32M", "retry_batch", "on"}},
	// replies of anything,
	{"batch_random", "batched", "batch_random", []string{"breaker_failures", "0", "batch_records", "100"}},
	{"batch_random_again", "batched", "batch_random", []string{"breaker_failures", "0", "batch_records", "50", "retry_batch", "on", "workers", "2"}},
	// no place for the input,
	{"batch_buffer", "batched", "batch_buffer", []string{"breaker_failures", "0", "batch_records", "100"}},
	// and every event made anew.
	{"batch_rebuild", "batched", "batch_rebuild", []string{"batch_bytes", "8K"}},
	{"batch_rebuild_shared", "batched", "batch_rebuild", []string{"workers", "2"}},
	// The same between markers of groups.
	{"group_hostile", "grouped", "batch_told", []string{"timeout", "100ms", "breaker_failures", "0", "recycle_memory", "32M", "retry_batch", "on"}},
	{"group_random", "grouped", "batch_random", []string{"breaker_failures", "0", "batch_records", "50"}},
	{"group_rebuild", "grouped", "batch_rebuild", []string{"batch_records", "40"}},
}

// letters are what hostile.wat may be told, but for l, which takes its time. The
// value is what becomes of the record, as the plugin words it; "" if it is
// returned.
var letters = map[byte]string{
	'u': "the guest trapped",
	'o': "the guest trapped",
	'd': "the guest trapped",
	's': "the guest trapped",
	'e': "the guest trapped",
	'x': "the guest trapped",
	'l': "the guest took longer than timeout",
	'p': "the guest's reply is a pointer outside its memory",
	'm': "the guest's reply is not a map",
	'j': "the guest's reply can't be read",
	't': "the guest's reply does not end inside its memory",
	'f': "",
	'g': "",
	'w': "",
}

// batchLetters are the same for batch_told.wat.
var batchLetters = map[byte]string{
	'u': "the guest trapped",
	'o': "the guest trapped",
	's': "the guest trapped",
	'x': "the guest trapped",
	'l': "the guest took longer than timeout",
	'p': "the guest's reply for the batch is not valid",
	'q': "the guest's reply for the batch is not valid",
	'h': "the guest's reply for the batch is not valid",
	'r': "the guest's reply for the batch is not valid",
	'n': "the guest has no memory left for the record",
	'b': "an operation of the guest's reply is not valid",
	'k': "an operation of the guest's reply is not valid",
	'v': "an operation of the guest's reply is not valid",
	'i': "an operation of the guest's reply is not valid",
	'j': "an operation of the guest's reply is not valid",
	'a': "an operation of the guest's reply is not valid",
	'c': "the guest reports an error",
	'f': "",
	'w': "",
	'y': "",
	'g': "",
}

const quickLetters, quickBatchLetters = "uodsexpmjtfgw", "uosxpqhrnbkvijacfwyg"

// tell tells every 50th record something, and one every two seconds or so to
// loop.
func tell(quick string) func(n uint64, r *rand.Rand) byte {
	loop := time.Now().Add(time.Second)
	return func(n uint64, r *rand.Rand) byte {
		if r.IntN(50) != 0 {
			return 0
		}
		if now := time.Now(); now.After(loop) {
			loop = now.Add(time.Duration(1+r.IntN(3)) * time.Second)
			return 'l'
		}
		return quick[r.IntN(len(quick))]
	}
}

// A count is what a filter says of itself when it ends.
type count struct {
	records, returned, dropped, failed int
	causes                             map[string]int
	givenUp, recycled                  int
}

var closing = regexp.MustCompile(`\[filter:wasmtime:([^\]]+)\] (\d+ records: .*instances given up.*)`)
var closingParts = regexp.MustCompile(
	`^(\d+) records: (\d+) returned, (\d+) dropped by the guest, (\d+) failed(?: \((.*)\))?(?:; errors by code: [^;]*)?(?:; \d+ added)?; (\d+) instances given up, (\d+) of them for recycle_memory;`)

func parseCount(line string) (count, error) {
	m := closingParts.FindStringSubmatch(line)
	if m == nil {
		return count{}, fmt.Errorf("not a closing line: %q", line)
	}
	c := count{causes: map[string]int{}}
	for i, to := range map[int]*int{1: &c.records, 2: &c.returned, 3: &c.dropped, 4: &c.failed, 6: &c.givenUp, 7: &c.recycled} {
		var err error
		if *to, err = strconv.Atoi(m[i]); err != nil {
			return c, err
		}
	}
	sum := 0
	for part := range strings.SplitSeq(m[5], "; ") {
		number, cause, _ := strings.Cut(part, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			c.causes[cause] += n
			sum += n
		}
	}
	if sum != c.failed || c.returned+c.dropped+c.failed != c.records {
		return c, fmt.Errorf("the closing line does not add up: %q", line)
	}
	return c, nil
}

// closingCounts finds the closing lines of a log, by filter.
func closingCounts(t *testing.T, log string) map[string]count {
	t.Helper()
	counts := map[string]count{}
	for _, m := range closing.FindAllStringSubmatch(log, -1) {
		c, err := parseCount(m[2])
		if err != nil {
			t.Errorf("filter %s: %v", m[1], err)
		}
		counts[m[1]] = c
	}
	return counts
}

// checkCounts compares what the filters counted with what they were sent, and
// returns the sums.
func checkCounts(t *testing.T, counts map[string]count, sent map[string]int, told map[string]map[byte]int) (sum count) {
	t.Helper()
	sum.causes = map[string]int{}
	for _, f := range soakFilters {
		if _, used := sent[f.match]; !used {
			continue
		}
		c, ok := counts[f.name]
		if !ok {
			t.Errorf("filter %s: no closing line in the log", f.name)
			continue
		}
		if c.records != sent[f.match] || c.dropped != 0 {
			t.Errorf("filter %s: %d records, %d dropped; want %d, 0", f.name, c.records, c.dropped, sent[f.match])
		}
		sum.failed += c.failed
		sum.givenUp += c.givenUp
		sum.recycled += c.recycled
		for cause, n := range c.causes {
			sum.causes[cause] += n
		}

		trapped, late := c.causes["the guest trapped"], c.causes["the guest took longer than timeout"]
		switch f.name {
		case "hostile":
			checkHostile(t, f.name, c, letters, told[f.match])
		case "batch_hostile", "group_hostile":
			checkHostile(t, f.name, c, batchLetters, told[f.match])
		case "batch_rebuild", "batch_rebuild_shared", "group_rebuild":
			if c.failed > 0 {
				t.Errorf("filter %s: %+v", f.name, c)
			}
		case "batch_random", "batch_random_again", "batch_buffer", "group_random":
			if c.records > 5000 && (c.returned == 0 || c.failed == 0) {
				t.Errorf("filter %s: %+v", f.name, c)
			}
		case "third", "store", "divide", "stack":
			want := c.records
			if f.name == "third" {
				want /= 3
			}
			if trapped+late < want-late || trapped+late > want+late {
				t.Errorf("filter %s: %d traps and %d timeouts in %d records", f.name, trapped, late, c.records)
			}
			if c.givenUp < trapped {
				t.Errorf("filter %s: %d traps, but only %d instances given up", f.name, trapped, c.givenUp)
			}
		case "grow":
			if c.failed != late {
				t.Errorf("filter grow: %+v", c)
			}
			if c.records > 5000 && c.recycled == 0 {
				t.Errorf("filter grow: no instance recycled in %d records", c.records)
			}
		case "broken":
			if c.returned != 0 || c.causes["the module is out of the path after many failures"] == 0 {
				t.Errorf("filter broken: %+v", c)
			}
		case "spaced":
			if c.failed != late {
				t.Errorf("filter spaced: %+v", c)
			}
		}
	}
	return sum
}

// checkHostile compares failures with what the guest was told. On a machine that
// is busy enough, a record may take longer than the timeout that was told nothing
// of the kind: each may be missing among the others.
func checkHostile(t *testing.T, name string, c count, letters map[byte]string, told map[byte]int) {
	t.Helper()
	want := map[string]int{}
	failed := 0
	for letter, cause := range letters {
		if cause != "" {
			want[cause] += told[letter]
			failed += told[letter]
		}
	}
	const late = "the guest took longer than timeout"
	extra := c.causes[late] - want[late]
	if extra < 0 {
		t.Errorf("filter %s: %d timeouts, told %d", name, c.causes[late], want[late])
	}
	if c.failed < failed || c.failed > failed+extra {
		t.Errorf("filter %s: %d failed, told %d", name, c.failed, failed)
	}
	for cause, n := range want {
		if cause != late && (c.causes[cause] > n || c.causes[cause] < n-extra) {
			t.Errorf("filter %s: %d failed because %s, told %d", name, c.causes[cause], cause, n)
		}
	}
	if extra > 0 {
		t.Logf("filter %s: %d timeouts more than it was told", name, extra)
	}
}

func section(title string, options ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\n", title)
	for i := 0; i < len(options); i += 2 {
		fmt.Fprintf(&b, "    %s %s\n", options[i], options[i+1])
	}
	return b.String()
}

func filterSections(t *testing.T, dir string, filters []filterSpec) string {
	t.Helper()
	var b strings.Builder
	for _, f := range filters {
		b.WriteString(section("FILTER", append([]string{"name", "wasmtime", "alias", f.name, "match", f.match,
			"wasm_path", guest(t, dir, f.guest), "function_name", "filter"}, f.options...)...))
	}
	return b.String()
}

// soakConfig is a pipeline with an input and a file for each stream.
func soakConfig(t *testing.T, dir string, ports map[string]string) string {
	t.Helper()
	text := section("SERVICE", "flush", "0.2", "grace", "5", "log_level", "info")
	var filters []filterSpec
	for _, f := range soakFilters {
		if ports[f.match] != "" {
			filters = append(filters, f)
		}
	}
	for tag, port := range ports {
		if tag == "grouped" {
			text += section("INPUT", "name", "forward", "listen", "127.0.0.1", "port", port, "buffer_max_size", "64M")
		} else {
			text += section("INPUT", "name", "tcp", "tag", tag, "listen", "127.0.0.1", "port", port,
				"format", "json", "chunk_size", "64", "buffer_size", "64")
		}
		text += section("OUTPUT", "name", "file", "match", tag, "path", dir, "file", tag+".out", "format", "plain")
	}
	return text + filterSections(t, dir, filters)
}

// Hostile guests, signals at random, and every record counted.
func TestSoak(t *testing.T) {
	if len(fluentBits) == 0 {
		fmt.Println("\n*** NO FLUENT BIT: the soak runs in the test's own process, without host and signals; " +
			"set FLUENT_BIT, or have fluent-bit on PATH ***")
		soakInProcess(t)
		return
	}
	eachFluentBit(t, soak)
}

func soak(t *testing.T, fb fluentBit) {
	dir := t.TempDir()
	ports := map[string]string{"told": freePort(t), "faults": freePort(t), "batched": freePort(t)}
	if fb.groups {
		ports["grouped"] = freePort(t)
	}
	p := fb.start(t, dir, soakConfig(t, dir, ports), "-e", pluginPath)
	streams := []*stream{
		{name: "told", author: newAuthor(1, tell(quickLetters)), in: p.dial(ports["told"]), window: 20_000},
		{name: "faults", author: newAuthor(2, nil), in: p.dial(ports["faults"]), window: 200},
		{name: "batched", author: newAuthor(4, tell(quickBatchLetters)), in: p.dial(ports["batched"]), window: 20_000},
	}
	if fb.groups {
		in := &grouping{Writer: p.dial(ports["grouped"]), tag: "grouped"}
		streams = append(streams, &stream{name: "grouped", author: newAuthor(5, tell(quickBatchLetters)), in: in, window: 5_000})
	}
	for _, s := range streams {
		s.path = filepath.Join(dir, s.name+".out")
	}

	random := rand.New(rand.NewPCG(soakSeed, 3))
	begin := time.Now()
	end := begin.Add(soakTime)
	next, hangups := begin, 0
	var early size // after a fifth of the time
	p.run(streams, func() bool { return time.Now().After(end) }, func() {
		if early.threads == 0 && time.Since(begin) > soakTime/5 {
			early = p.size()
		}
		if !fb.reloads || time.Now().Before(next) {
			return
		}
		p.signal(syscall.SIGHUP)
		hangups++
		next = time.Now().Add(time.Duration(random.IntN(200)) * time.Millisecond)
	})
	late := p.size()
	p.stop()

	var all totals
	sent, told := map[string]int{}, map[string]map[byte]int{}
	for _, s := range streams {
		told[s.name] = s.author.count
		if _, err := s.read(); err != nil { // what came out after all had come
			t.Fatal(err)
		}
		if err := s.err(); err != nil {
			t.Errorf("stream %s: %v", s.name, err)
		}
		sent[s.name] = int(s.sent)
		all = all.plus(s.totals())
	}
	if soakTime >= time.Minute && late.ownKB > early.ownKB+early.ownKB*15/100+heapKB {
		t.Errorf("memory grew: after a fifth of the time %v, at the end %v", early, late)
	}
	log := p.log()
	caught := strings.Count(log, "caught signal (SIGHUP)")
	if fb.reloads && caught == 0 {
		t.Errorf("%d SIGHUPs sent, none seen by Fluent Bit", hangups)
	}
	sum := checkCounts(t, closingCounts(t, log), sent, told)
	figures("Fluent Bit %s, %v: %v; %d traps, %d timeouts, %d SIGHUPs (%d handled), %d instances given up (%d of them for recycle_memory); after a fifth of the time %v, at the end %v",
		fb.version, soakTime, all, sum.causes["the guest trapped"], sum.causes["the guest took longer than timeout"],
		hangups, caught, sum.givenUp, sum.recycled, early, late)
}

// soakInProcess runs the same filters without a host.
func soakInProcess(t *testing.T) {
	dir := t.TempDir()
	type link struct {
		filterSpec
		*filter.Filter
		last string // line of the log
	}
	var links []*link
	for _, spec := range soakFilters {
		values := map[string]string{"wasm_path": guest(t, dir, spec.guest), "function_name": "filter"}
		for i := 0; i < len(spec.options); i += 2 {
			values[spec.options[i]] = spec.options[i+1]
		}
		o, err := options.Parse(options.From(func(name string) (string, bool) { v, ok := values[name]; return v, ok }))
		if err != nil {
			t.Fatal(err)
		}
		l := &link{filterSpec: spec}
		if l.Filter, err = filter.New(o, func(_ hostlog.Level, line string) { l.last = line }); err != nil {
			t.Fatal(err)
		}
		links = append(links, l)
	}

	authors := map[string]*author{"told": newAuthor(1, tell(quickLetters)), "faults": newAuthor(2, nil),
		"batched": newAuthor(4, tell(quickBatchLetters)), "grouped": newAuthor(5, tell(quickBatchLetters))}
	sent := map[string]int{}
	random := rand.New(rand.NewPCG(soakSeed, 3))
	for end := time.Now().Add(soakTime); time.Now().Before(end); {
		for tag, most := range map[string]int{"told": 2000, "faults": 20, "batched": 2000, "grouped": 500} {
			var in []byte
			for i := range 1 + random.IntN(most) {
				if tag == "grouped" && i%groupRecords == 0 {
					in = append(append(in, groupEnd...), groupStart...)
				}
				in = appendEvent(in, uint64(sent[tag]), authors[tag])
				sent[tag]++
			}
			out := in
			for _, l := range links {
				if l.match != tag {
					continue
				}
				if changed, modified := l.Run([]byte(tag), out); modified {
					out = changed
				}
			}
			// The bytes say it all: number, order and text.
			if string(out) != string(in) {
				t.Fatalf("stream %s: up to record %d: %d bytes came back as %d other ones", tag, sent[tag], len(in), len(out))
			}
		}
	}
	counts := map[string]count{}
	for _, l := range links {
		l.Close()
		c, err := parseCount(l.last)
		if err != nil {
			t.Error(err)
		}
		counts[l.name] = c
	}
	told, all := map[string]map[byte]int{}, 0
	for tag, a := range authors {
		told[tag] = a.count
		all += sent[tag]
	}
	sum := checkCounts(t, counts, sent, told)
	figures("no Fluent Bit, %v: %d records came back as they were sent; %d traps, %d timeouts, %d instances given up (%d of them for recycle_memory)",
		soakTime, all, sum.causes["the guest trapped"], sum.causes["the guest took longer than timeout"],
		sum.givenUp, sum.recycled)
}

// appendEvent appends an event whose body is record n of an author.
func appendEvent(b []byte, n uint64, a *author) []byte {
	b = msgp.AppendArrayHeader(b, 2)
	b = msgp.AppendArrayHeader(b, 2)
	b = append(b, 0xd7, 0)
	b = binary.BigEndian.AppendUint32(b, 1_700_000_000+uint32(n))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = msgp.AppendMapHeader(b, 0)
	var do byte
	if a.told != nil {
		do = a.told(n, a.rand)
	}
	keys := uint32(2)
	if do != 0 {
		keys++
		a.count[do]++
	}
	b = msgp.AppendMapHeader(b, keys)
	b = msgp.AppendString(b, "n")
	b = msgp.AppendUint64(b, n)
	b = msgp.AppendString(b, "text")
	b = msgp.AppendString(b, filler[:a.rand.IntN(len(filler))])
	if do != 0 {
		b = msgp.AppendString(b, "do")
		b = msgp.AppendString(b, string(rune(do)))
	}
	return b
}

// Markers, as Fluent Bit writes them, and how many records a group has.
const (
	groupStart   = "\x92\x92\xd7\x00\xff\xff\xff\xff\x00\x00\x00\x00\x81\xa6schema\xa4otlp\x81\xa8resource\x81\xa1r\x01"
	groupEnd     = "\x92\x92\xd7\x00\xff\xff\xff\xfe\x00\x00\x00\x00\x80\x80"
	groupRecords = 37
)

// A grouping makes messages of the forward protocol of lines of JSON, with their records in groups.
type grouping struct {
	io.Writer
	tag string
}

func (g *grouping) Write(lines []byte) (int, error) {
	var events []byte
	n := 0
	for line := range bytes.Lines(lines) {
		if n%groupRecords == 0 && n > 0 {
			events = append(events, groupEnd...)
		}
		if n%groupRecords == 0 {
			events = append(events, groupStart...)
		}
		n++
		events = append(events, "\x92\x92\xd7\x00\x65\x00\x00\x00\x00\x00\x00\x01\x80"...)
		var err error
		if events, _, err = transcode.AppendMsgpack(events, line, transcode.MaxDepth); err != nil {
			return 0, err
		}
	}
	events = append(events, groupEnd...)
	message := msgp.AppendArrayHeader(nil, 3)
	message = msgp.AppendString(message, g.tag)
	message = msgp.AppendBytes(message, events)
	message = msgp.AppendMapHeader(message, 1)
	message = msgp.AppendString(message, "size")
	message = msgp.AppendInt(message, n)
	if _, err := g.Writer.Write(message); err != nil {
		return 0, err
	}
	return len(lines), nil
}

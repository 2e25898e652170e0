package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/bits"
	"os"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// figures is what a measurement finds. The names in JSON are kept.
type figures struct {
	Module       string `json:"module"`
	Function     string `json:"function"`
	EventFormat  string `json:"event_format"`
	RecordBytes  int    `json:"record_bytes"` // as JSON, on average
	ChunkRecords int    `json:"chunk_records"`

	Chunks          uint64 `json:"chunks"`
	Records         uint64 `json:"records"`
	Returned        uint64 `json:"returned"`
	Dropped         uint64 `json:"dropped"`
	Routed          uint64 `json:"routed"`
	Failed          uint64 `json:"failed"`
	FailedElsewhere uint64 `json:"failed_elsewhere"` // in warm-up and records pass
	GivenUp         uint64 `json:"replaced"`

	Seconds          float64 `json:"seconds"` // in the filter
	RecordsPerSecond float64 `json:"records_per_second"`
	MicrosPerRecord  float64 `json:"us_per_record"`
	Shares           shares  `json:"shares"`

	LinearMemoryBytes uint64 `json:"linear_memory_bytes"` // 0: the instance is gone
	ResidentBytes     uint64 `json:"resident_bytes"`

	Chunk  percentiles `json:"chunk_us"`
	Record percentiles `json:"record_us"`
}

// shares are parts of the time per record. They add up to 1.
type shares struct {
	Transcoding float64 `json:"transcoding"`
	Crossing    float64 `json:"crossing"`
	Guest       float64 `json:"guest"`
}

func sharesOf(p filter.Parts) shares {
	total := float64(p.Transcoding + p.Crossing + p.Guest)
	if total == 0 {
		return shares{}
	}
	return shares{float64(p.Transcoding) / total, float64(p.Crossing) / total, float64(p.Guest) / total}
}

// count takes what has been counted between the two.
func (r *figures) count(before, after filter.Stats) {
	r.Chunks = after.Chunks - before.Chunks
	r.Records = after.Records - before.Records
	r.Returned = after.Returned - before.Returned
	r.Dropped = after.Dropped - before.Dropped
	r.Routed = after.Routed - before.Routed
	r.Failed = after.Failed - before.Failed
	r.GivenUp = after.GivenUp - before.GivenUp
}

func (r *figures) time(total time.Duration) {
	r.Seconds = max(total, 1).Seconds() // a clock may be coarse, but JSON has no infinity
	r.RecordsPerSecond = float64(r.Records) / r.Seconds
	r.MicrosPerRecord = r.Seconds * 1e6 / float64(r.Records)
}

func (r *figures) json() []byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // numbers and text only, and no number is infinite
	}
	return append(printableJSON(text), '\n')
}

// printableJSON writes what is not printable in the strings of a JSON text as escapes;
// nothing outside of them is. encoding/json does so for some only.
func printableJSON(text []byte) []byte {
	if !bytes.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return text
	}
	var b []byte
	for _, r := range string(text) {
		if unicode.IsPrint(r) {
			b = utf8.AppendRune(b, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			b = fmt.Appendf(b, `\u%04x`, unit)
		}
	}
	return b
}

func (r *figures) table() []byte {
	var b bytes.Buffer
	row := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-15s%s\n", label, hostlog.Line(fmt.Sprintf(format, args...)))
	}
	row("module", "%s", r.Module)
	row("function", "%s, event_format %s", hostlog.Name(r.Function), r.EventFormat)
	row("records", "%d in %d chunks of %d; %d bytes of JSON each", r.Records, r.Chunks, r.ChunkRecords, r.RecordBytes)
	row("returned", "%d", r.Returned)
	row("dropped", "%d", r.Dropped)
	if r.Routed > 0 {
		row("routed", "%d", r.Routed)
	}
	if r.FailedElsewhere > 0 {
		row("failed", "%d; %d more in passes that are not counted", r.Failed, r.FailedElsewhere)
	} else {
		row("failed", "%d", r.Failed)
	}
	row("given up", "%d instances", r.GivenUp)
	row("speed", "%.0f records/s", r.RecordsPerSecond)
	row("per record", "%8.2f µs", r.MicrosPerRecord)
	share := func(label string, part float64) { row(label, "%8.2f µs %5.1f %%", r.MicrosPerRecord*part, part*100) }
	share("  transcoding", r.Shares.Transcoding)
	share("  crossing", r.Shares.Crossing)
	share("  guest", r.Shares.Guest)
	if r.LinearMemoryBytes == 0 {
		row("linear memory", "none: there is no instance after the last record")
	} else {
		row("linear memory", "%8.2f MB", float64(r.LinearMemoryBytes)/1e6)
	}
	row("resident", "%8.2f MB", float64(r.ResidentBytes)/1e6)
	row("µs", "%10s %10s %10s %10s %10s", "p50", "p90", "p99", "p99.9", "max")
	times := func(label string, p percentiles) {
		row(label, "%10.2f %10.2f %10.2f %10.2f %10.2f", p.P50, p.P90, p.P99, p.P999, p.Max)
	}
	times("  chunk", r.Chunk)
	times("  record alone", r.Record)
	return b.Bytes()
}

// residentBytes is how much memory this process has.
func residentBytes() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident uint64 // in pages
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return resident * uint64(os.Getpagesize()), nil
}

// percentiles are in microseconds.
type percentiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// histogramBits is how many of a value's leading bits a bucket tells apart, which
// makes the middle of a bucket right to 1 in 128.
const histogramBits = 7

// histogram counts times, in the same memory however many there are.
type histogram struct {
	counts [64 << (histogramBits - 1)]uint64
	n      uint64
	total  time.Duration
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.n++
	h.total += d
	h.max = max(h.max, d)
}

// bucket counts on from one power of two to the next.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-histogramBits, 0)
	return shift<<(histogramBits-1) + int(v>>shift)
}

// middle is the value in the middle of a bucket.
func middle(bucket int) float64 {
	shift := max(bucket>>(histogramBits-1)-1, 0)
	low := uint64(bucket-shift<<(histogramBits-1)) << shift
	return float64(low) + float64(uint64(1)<<shift-1)/2
}

// percentile returns the time that so many in 1,000 are not above.
func (h *histogram) percentile(permille uint64) float64 {
	rank := max((h.n*permille+999)/1000, 1)
	for i, n := range h.counts {
		if n >= rank {
			return min(middle(i), float64(h.max))
		}
		rank -= n
	}
	return float64(h.max)
}

func (h *histogram) percentiles() percentiles {
	return percentiles{
		P50:  h.percentile(500) / 1e3,
		P90:  h.percentile(900) / 1e3,
		P99:  h.percentile(990) / 1e3,
		P999: h.percentile(999) / 1e3,
		Max:  float64(h.max.Nanoseconds()) / 1e3,
	}
}

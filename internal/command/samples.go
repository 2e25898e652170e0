package command

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
)

const (
	// madeUp records are more than fit into the caches of a core.
	madeUp     = 7500
	madeUpSeed = 1

	// maxSampleBytes bounds the events that are kept in memory.
	maxSampleBytes = 64_000_000
)

// samples are records to measure with.
type samples struct {
	chunks       [][]byte
	chunkRecords int      // in each of them
	singles      [][]byte // the records, one by one
	meanBytes    int      // of a record as JSON
}

func (f *benchFlags) samples(cmd *cobra.Command, args []string) (samples, error) {
	s := samples{chunkRecords: f.chunkRecords}
	if len(args) == 0 {
		if err := s.read(bytes.NewReader(made()), "made-up records"); err != nil {
			return samples{}, err
		}
	} else {
		in, err := openInputs(args, cmd.InOrStdin())
		if err != nil {
			return samples{}, err
		}
		defer in.close()
		if err := s.read(in[0].reader, in[0].name); err != nil {
			return samples{}, err
		}
	}
	return s, s.join()
}

// made is made-up records, one on a line.
func made() []byte {
	var lines []byte
	for record := range records.Generate(madeUp, madeUpSeed) {
		lines = append(append(lines, record...), '\n')
	}
	return lines
}

// read takes records, each on a line, up to maxSampleBytes.
func (s *samples) read(reader io.Reader, name string) error {
	lines := lineReader{reader: bufio.NewReaderSize(reader, readBytes), max: maxLineBytes}
	now := time.Now()
	var body []byte
	jsonBytes, eventBytes := 0, 0
	for number := 1; eventBytes < maxSampleBytes; number++ {
		line, err := lines.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			body, err = appendObject(body[:0], line)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
		event := chunk.AppendRecord(nil, now.Unix(), uint32(now.Nanosecond()), nil, body)
		s.singles = append(s.singles, event)
		jsonBytes += len(line)
		eventBytes += len(event)
	}
	if len(s.singles) == 0 {
		return fmt.Errorf("%s: there is no record in it", name)
	}
	s.meanBytes = jsonBytes / len(s.singles)
	return nil
}

// join makes chunks that are all full: the last one is filled up with the first
// records.
func (s *samples) join() error {
	for from := 0; from < len(s.singles); from += s.chunkRecords {
		var joined []byte
		for i := range s.chunkRecords {
			if len(joined) > maxSampleBytes {
				return fmt.Errorf("--chunk-records: %d of these records are more than the %d bytes that a chunk may have here", s.chunkRecords, maxSampleBytes)
			}
			joined = append(joined, s.singles[(from+i)%len(s.singles)]...)
		}
		s.chunks = append(s.chunks, joined)
	}
	return nil
}

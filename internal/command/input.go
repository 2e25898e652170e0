package command

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

// maxLineBytes bounds what is kept of a line that does not end.
const maxLineBytes = 64 << 20

// maxMsgpackBytes bounds what is kept of an input of events. A variable for the tests'
// sake.
var maxMsgpackBytes int64 = 1 << 30

const readBytes = 64 << 10

// readNDJSON adds the records of an input of one JSON object a line.
func (p *pipeline) readNDJSON(in input) error {
	waits := !in.isRegular()
	reader := in.reader
	if waits && p.tickInterval > 0 {
		reader = &tickingReader{reader: reader, p: p}
	}
	lines := lineReader{reader: bufio.NewReaderSize(reader, readBytes), max: maxLineBytes}
	for number := 1; ; number++ {
		line, err := lines.next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, errLongLine):
			if err := p.passLine(in.name, number, line, err, &lines); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			if p.body, err = appendObject(p.body[:0], line); err != nil {
				err = p.passLine(in.name, number, line, err, nil)
			} else {
				err = p.addRecord(p.body)
			}
			if err != nil {
				return err
			}
		}
		if waits && !lines.ready() {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
}

// tickingReader reads an input that is waited for, and has filters tick meanwhile.
type tickingReader struct {
	reader io.Reader
	p      *pipeline
	buffer []byte
	done   chan readResult // nil: nothing is being read
}

type readResult struct {
	n   int
	err error
}

// Read reads on a goroutine of its own: guests run on the caller's thread alone. One that an error of a tick leaves
// behind ends with its input.
func (t *tickingReader) Read(b []byte) (int, error) {
	if t.done == nil {
		t.done = make(chan readResult, 1)
		if len(t.buffer) < len(b) {
			t.buffer = make([]byte, len(b))
		}
		go func(buffer []byte, done chan<- readResult) {
			n, err := t.reader.Read(buffer)
			done <- readResult{n, err}
		}(t.buffer[:len(b)], t.done)
	}
	timer := time.NewTimer(time.Until(t.p.nextTick))
	defer timer.Stop()
	for {
		select {
		case r := <-t.done:
			t.done = nil
			return copy(b, t.buffer[:r.n]), r.err
		case <-timer.C:
			if err := t.p.tick(false); err != nil {
				return 0, err
			}
			timer.Reset(time.Until(t.p.nextTick))
		}
	}
}

var errNotObject = errors.New("not a JSON object")

// appendObject appends the one JSON object that a line holds, as msgpack.
func appendObject(dst, line []byte) ([]byte, error) {
	trimmed := bytes.TrimSpace(line)
	if trimmed[0] != '{' {
		return dst, errNotObject
	}
	out, n, err := transcode.AppendMsgpack(dst, trimmed, chunk.MaxDepth)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", errNotObject, err)
	}
	if n < len(trimmed) {
		return dst, fmt.Errorf("%w: something follows the object at byte %d", errNotObject, n)
	}
	return out, nil
}

// passLine writes a line that holds no record as it came, after the records
// before it, and the rest of it if that has not been read.
func (p *pipeline) passLine(name string, number int, line []byte, cause error, rest *lineReader) error {
	if err := p.flush(); err != nil {
		return err
	}
	p.in++
	p.unreadable++
	place := fmt.Sprintf("%s:%d", name, number)
	to := p.stdout
	if p.msgpack {
		p.unwritable++
		p.complain(place, "%v; the line is left out", cause)
		to = io.Discard
	} else {
		p.written++
		p.complain(place, "%v; the line is passed through as it is", cause)
	}
	if err := write(to, line); err != nil {
		return err
	}
	if rest != nil {
		if err := rest.copyRest(to); err != nil {
			return err
		}
	}
	return write(to, []byte{'\n'})
}

// readMsgpack adds the events of an input that is nothing but events.
func (p *pipeline) readMsgpack(in input) error {
	data, readErr := io.ReadAll(io.LimitReader(in.reader, maxMsgpackBytes+1))
	if int64(len(data)) > maxMsgpackBytes {
		return fmt.Errorf("more than %d bytes: give the events in several runs", maxMsgpackBytes)
	}
	for rest := data; len(rest) > 0; {
		event, next, err := chunk.Next(rest)
		if err != nil {
			if err := p.passBytes(in.name, len(data)-len(rest), rest, err); err != nil {
				return err
			}
			break
		}
		if err := p.add(event); err != nil {
			return err
		}
		rest = next
	}
	return readErr
}

// passBytes writes the end of an input that can't be read as it came.
func (p *pipeline) passBytes(name string, offset int, rest []byte, cause error) error {
	if err := p.flush(); err != nil {
		return err
	}
	p.unreadable++
	place := fmt.Sprintf("%s: byte %d", name, offset)
	if !p.msgpack {
		p.unwritable++
		p.complain(place, "%v; the last %d bytes are left out", cause, len(rest))
		return nil
	}
	p.complain(place, "%v; the last %d bytes are passed through as they are", cause, len(rest))
	return write(p.stdout, rest)
}

var errLongLine = errors.New("the line is too long")

// lineReader takes lines of a length that is bounded by max, roughly.
type lineReader struct {
	reader *bufio.Reader
	max    int
	line   []byte
	err    error // that ended a line; it is returned next
}

// next returns the next line without its end, valid until the call after. After
// errLongLine the line has a rest, which copyRest takes.
func (l *lineReader) next() ([]byte, error) {
	if l.err != nil {
		return nil, l.err
	}
	l.line = l.line[:0]
	for {
		part, err := l.reader.ReadSlice('\n')
		l.line = append(l.line, part...)
		switch {
		case err == nil:
			return l.line[:len(l.line)-1], nil
		case err != bufio.ErrBufferFull:
			if len(l.line) == 0 {
				return nil, err
			}
			l.err = err
			return l.line, nil
		case len(l.line) > l.max:
			return l.line, fmt.Errorf("%w: allowed are %d bytes", errLongLine, l.max)
		}
	}
}

// copyRest writes what is left of a line that was too long, without its end.
func (l *lineReader) copyRest(w io.Writer) error {
	for {
		part, err := l.reader.ReadSlice('\n')
		if writeErr := write(w, bytes.TrimSuffix(part, []byte{'\n'})); writeErr != nil {
			return writeErr
		}
		if err != bufio.ErrBufferFull {
			l.err = err
			return nil
		}
	}
}

// ready reports whether the next line is at hand.
func (l *lineReader) ready() bool {
	data, _ := l.reader.Peek(l.reader.Buffered())
	return bytes.IndexByte(data, '\n') >= 0
}

package play

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

const (
	maxMessageBytes  = 8 << 20 // of the Forward protocol, also unpacked
	maxReceivedBytes = 6 << 20 // of the events that are kept, as lines: they become an input
	maxSenders       = 16
	maxMessageDepth  = 256
	tellInterval     = 200 * time.Millisecond
)

// received is what a Fluent Bit has sent lately.
type received struct {
	last int    // how many events are kept
	tell func() // says that there are more

	mu      sync.Mutex
	total   int // events since the beginning
	kept    []tagged
	bytes   int    // of kept
	problem string // why a message was refused; the latest
	telling bool
}

// tagged is an event as a line, with its tag.
type tagged struct{ tag, line string }

func newReceived(last int, tell func()) *received { return &received{last: last, tell: tell} }

type receivedState struct {
	Total   int    `json:"total"`
	Kept    int    `json:"kept"`
	Problem string `json:"problem,omitempty"`
	Lines   string `json:"lines,omitempty"`
}

// state is what the page learns; withLines is it with the events.
func (r *received) state(withLines bool) receivedState {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := receivedState{Total: r.total, Kept: len(r.kept), Problem: r.problem}
	if withLines {
		var b strings.Builder
		tag := ""
		for _, e := range r.kept {
			if e.tag != tag {
				tag = e.tag
				b.Write(trial.Item{Kind: trial.Tag, Tag: tag}.AppendLine(nil, time.Time{}))
				b.WriteByte('\n')
			}
			b.WriteString(e.line)
			b.WriteByte('\n')
		}
		s.Lines = b.String()
	}
	return s
}

// keep adds events, and forgets the oldest.
func (r *received) keep(events []tagged, problem string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total += len(events)
	if problem != "" {
		r.problem = problem
	}
	for _, e := range events {
		r.kept = append(r.kept, e)
		r.bytes += len(e.tag) + len(e.line)
	}
	gone := 0
	for gone < len(r.kept) && (len(r.kept)-gone > r.last || r.bytes > maxReceivedBytes) {
		r.bytes -= len(r.kept[gone].tag) + len(r.kept[gone].line)
		gone++
	}
	r.kept = append([]tagged(nil), r.kept[gone:]...)
	if !r.telling {
		r.telling = true
		time.AfterFunc(tellInterval, func() {
			r.mu.Lock()
			r.telling = false
			r.mu.Unlock()
			r.tell()
		})
	}
}

// serve takes messages of the Forward protocol, version 1, without its handshake, until the context ends.
func (r *received) serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	slots := make(chan struct{}, maxSenders)
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("--forward: %w", err)
		}
		select {
		case slots <- struct{}{}:
		default:
			c.Close()
			continue
		}
		go func() {
			defer func() { <-slots }()
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			if err := r.take(c); err != nil && ctx.Err() == nil {
				r.keep(nil, err.Error())
			}
		}()
	}
}

// take reads messages until the far side closes the connection.
func (r *received) take(c io.ReadWriter) error {
	in := bufio.NewReader(c)
	for {
		m := messageReader{in: in, room: maxMessageBytes}
		if _, err := in.Peek(1); err != nil {
			return nil
		}
		if err := m.value(maxMessageDepth); err != nil {
			return fmt.Errorf("a message of the Forward protocol can't be read: %w", err)
		}
		events, id, err := readMessage(m.data)
		r.keep(events, errorText(err))
		if id != "" {
			ack := mp.AppendString(mp.AppendString(mp.AppendMapHeader(nil, 1), "ack"), id)
			if _, err := c.Write(ack); err != nil {
				return nil
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

var errLong = fmt.Errorf("it has more than %d bytes", maxMessageBytes)

// messageReader copies one value of MessagePack from a connection. It takes memory as bytes come, whatever the
// value says of its length.
type messageReader struct {
	in   *bufio.Reader
	data []byte
	room int
}

// value copies a value.
func (m *messageReader) value(depth int) error {
	if depth == 0 {
		return mp.ErrDepth
	}
	lead, err := m.in.Peek(1)
	if err != nil {
		return err
	}
	first := lead[0]
	kind := mp.KindOf(first)
	// How many bytes the head has is what makes it whole: mp reads heads, but wants what follows them, too.
	size := headBytes(first)
	if err := m.copy(size); err != nil {
		return err
	}
	head := m.data[len(m.data)-size:]
	n := argument(head)
	switch kind {
	case mp.Invalid:
		return mp.ErrInvalid
	case mp.Str, mp.Bin:
		return m.copy(n)
	case mp.Ext:
		return m.copy(n + 1)
	case mp.Map:
		n *= 2
	case mp.Array:
	default:
		return nil
	}
	for ; n > 0; n-- {
		if err := m.value(depth - 1); err != nil {
			return err
		}
	}
	return nil
}

func (m *messageReader) copy(n int) error {
	if m.room -= n; m.room < 0 {
		return errLong
	}
	for n > 0 {
		part := min(n, 64<<10)
		at := len(m.data)
		m.data = append(m.data, make([]byte, part)...)
		if _, err := io.ReadFull(m.in, m.data[at:]); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// headBytes is how many bytes the head of a value has that begins with that byte: with a number the whole value.
func headBytes(lead byte) int {
	switch {
	case lead < 0xc4 || lead >= 0xe0: // what is one byte, or has its length in it
		return 1
	case lead >= 0xc4 && lead <= 0xc6: // bin
		return 1 + 1<<(lead-0xc4)
	case lead >= 0xc7 && lead <= 0xc9: // ext
		return 1 + 1<<(lead-0xc7)
	case lead == 0xca || lead == 0xcb: // float
		return 1 + 4<<(lead-0xca)
	case lead >= 0xcc && lead <= 0xd3: // numbers
		return 1 + 1<<((lead-0xcc)%4)
	case lead >= 0xd4 && lead <= 0xd8: // fixext
		return 1
	case lead >= 0xd9 && lead <= 0xdb: // str
		return 1 + 1<<(lead-0xd9)
	default: // array, map
		return 1 + 2<<(lead&1)
	}
}

// argument is the length that the head of a str, bin, ext, array or map says.
func argument(head []byte) int {
	lead := head[0]
	switch len(head) {
	case 2:
		return int(head[1])
	case 3:
		return int(binary.BigEndian.Uint16(head[1:]))
	case 5:
		return int(binary.BigEndian.Uint32(head[1:]))
	}
	switch {
	case lead >= 0xa0 && lead < 0xc0:
		return int(lead & 0x1f)
	case lead >= 0x80 && lead < 0xa0:
		return int(lead & 0xf)
	case lead >= 0xd4 && lead <= 0xd8:
		return 1 << (lead - 0xd4)
	}
	return 0
}

var (
	errMessage = errors.New("what was sent is no message of the Forward protocol")
	errSignal  = errors.New("metrics and traces were sent: only logs can be tried")
)

// readMessage reads a message: [tag, entries, option] with entries as an array, or packed, maybe compressed, or
// [tag, time, record, option]. id is what asks for an acknowledgement.
func readMessage(data []byte) (events []tagged, id string, err error) {
	v, _, err := trial.Decode(data)
	if err != nil {
		return nil, "", errMessage
	}
	parts, _ := v.(trial.List)
	if len(parts) < 2 {
		return nil, "", errMessage
	}
	tag, ok := parts[0].(string)
	if !ok || tag == "" {
		return nil, "", errMessage
	}
	option, _ := parts[len(parts)-1].(trial.Map)
	if chunkID, _ := option.Get("chunk"); chunkID != nil {
		id, _ = chunkID.(string)
	}
	if signal, _ := option.Get("fluent_signal"); signal != nil && signal != trial.Value(int64(0)) {
		return nil, id, errSignal
	}
	var packed []byte
	switch entries := parts[1].(type) {
	case trial.List:
		for _, e := range entries {
			packed = trial.Append(packed, e)
		}
	case trial.Bin:
		packed = entries
	case string:
		packed = []byte(entries)
	default:
		if len(parts) < 3 {
			return nil, id, errMessage
		}
		packed = trial.Append(nil, trial.List{parts[1], parts[2]})
	}
	if method, _ := option.Get("compressed"); method == trial.Value("gzip") {
		if packed, err = unzip(packed); err != nil {
			return nil, id, fmt.Errorf("a compressed message can't be read: %w", err)
		}
	}
	for len(packed) > 0 {
		event, rest, err := chunk.Next(packed)
		if err != nil {
			return events, id, fmt.Errorf("an event that was sent can't be read: %w", err)
		}
		items, err := trial.Items(event.Raw)
		if err != nil {
			return events, id, err
		}
		for _, i := range items {
			events = append(events, tagged{tag, string(i.AppendLine(nil, time.Time{}))})
		}
		packed = rest
	}
	return events, id, nil
}

func unzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(z, maxMessageBytes+1))
	if err == nil && len(out) > maxMessageBytes {
		err = errLong
	}
	return out, err
}

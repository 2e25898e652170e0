package output

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/forward"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

// parcel is what the guest made of a chunk, on its way to a destination. It is
// packed once: each attempt sends the same bytes.
type parcel struct {
	tag         string
	input       []byte        // the chunk, until it is packed
	transformed chan struct{} // closed when groups or err are set
	groups      []*group
	err         error

	messages []*forward.Message // for forward
	text     []byte             // for file and stdout
}

func (p *parcel) bytes() int64 {
	n := int64(len(p.text))
	for _, m := range p.messages {
		n += int64(len(m.Wire))
	}
	return n
}

// A destination is where the results of an instance go.
type destination interface {
	pack(p *parcel) error                         // an error here is for good
	deliver(ctx context.Context, p *parcel) error // may be called several times at once
	close()                                       // no delivery is under way, or will be
	String() string                               // as in emit_to
}

func newDestination(o options.Output) destination {
	switch o.To {
	case options.File:
		return &file{path: o.Address, lines: lines{o}}
	case options.Stdout:
		return &file{lines: lines{o}}
	default:
		return &far{options: o, client: forward.NewClient(forward.Config{
			Network: o.Network, Address: o.Address, TLS: o.TLS,
			SharedKey: o.SharedKey, SelfHostname: o.SelfHostname, Username: o.Username, Password: o.Password,
			Ack: o.Ack, Keepalive: o.Keepalive, ConnectTimeout: o.ConnectTimeout, Timeout: o.EmitTimeout,
		})}
	}
}

// far is a far side that speaks the Forward protocol.
type far struct {
	options options.Output
	client  *forward.Client
}

func (f *far) pack(p *parcel) error {
	for i, g := range p.groups {
		id := ""
		if f.options.Ack {
			id = messageID(g, i)
		}
		m, err := forward.Encode(g.tag, g.events, g.count, id, f.options.Gzip)
		if err != nil {
			return err
		}
		p.messages = append(p.messages, m)
		g.events = nil
	}
	return nil
}

// messageID makes the ID of a message from what it holds, so that it is the same
// each time, and a receiver may tell repetitions.
func messageID(g *group, index int) string {
	h := sha256.New()
	binary.Write(h, binary.BigEndian, [2]uint64{uint64(index), uint64(len(g.tag))})
	h.Write([]byte(g.tag))
	h.Write(g.events)
	return base64.StdEncoding.EncodeToString(h.Sum(nil)[:16])
}

func (f *far) deliver(ctx context.Context, p *parcel) error { return f.client.Send(ctx, p.messages) }
func (f *far) close()                                       { f.client.Close() }
func (f *far) String() string {
	if f.options.Network == "unix" {
		return "forward+unix://" + f.options.Address
	}
	return "forward://" + f.options.Address
}

// file appends to a file, which is opened again when another one, or none, has
// taken its place.
type file struct {
	path string // "" for stdout
	lines

	mu   sync.Mutex
	file *os.File
}

func (f *file) close() {
	if !f.mu.TryLock() {
		return // a write that does not end, as on a file system that is gone
	}
	defer f.mu.Unlock()
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}

func (f *file) String() string {
	if f.path == "" {
		return "stdout"
	}
	return "file://" + f.path
}

func (f *file) deliver(ctx context.Context, p *parcel) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(p.text) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.reopen(); err != nil {
		return err
	}
	// A pipe may have no room for as long as its reader likes.
	open := f.file
	defer context.AfterFunc(ctx, func() { open.SetWriteDeadline(time.Now()) })()
	if f.path == "" {
		n, err := f.file.Write(p.text)
		p.text = p.text[n:]
		return err
	}
	before, err := f.file.Stat()
	if err != nil {
		return err
	}
	n, err := f.file.Write(p.text)
	if err == nil {
		return nil
	}
	// What is half written is taken back, if nobody has written after it.
	after, statErr := f.file.Stat()
	if n > 0 && (statErr != nil || !after.Mode().IsRegular() || after.Size() != before.Size()+int64(n) ||
		f.file.Truncate(before.Size()) != nil) {
		p.text = p.text[n:]
	}
	return err
}

// reopen opens the file, unless it is open and in its place.
func (f *file) reopen() error {
	if f.path == "" {
		return f.openStdout()
	}
	if f.file != nil {
		there, err := os.Stat(f.path)
		open, openErr := f.file.Stat()
		if err == nil && openErr == nil && os.SameFile(there, open) {
			return nil
		}
		f.file.Close()
		f.file = nil
	}
	// To open a FIFO would wait for its reader.
	opened, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0o640)
	if errors.Is(err, syscall.ENXIO) {
		return fmt.Errorf("nobody reads the other end: %w", err)
	}
	if err != nil {
		return err
	}
	f.file = opened
	return nil
}

// openStdout opens standard output under another number: on 1 and 2, a pipe without a
// reader would be the end of the process (package os/signal, SIGPIPE).
func (f *file) openStdout() error {
	if f.file != nil {
		return nil
	}
	fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, 1, syscall.F_DUPFD_CLOEXEC, 3)
	if errno != 0 {
		return errno
	}
	f.file = os.NewFile(fd, "stdout")
	return nil
}

// lines packs events for files.
type lines struct{ options options.Output }

func (l lines) pack(p *parcel) error {
	var keys uniqueKeys
	for _, g := range p.groups {
		if l.options.Msgpack {
			p.text = append(p.text, g.events...)
			continue
		}
		for rest := g.events; len(rest) > 0; {
			event, next, err := chunk.Next(rest)
			if err != nil {
				return err
			}
			rest = next
			if event.Kind != chunk.Record {
				continue // what lines have no place for
			}
			start := len(p.text)
			if p.text, err = l.appendLine(p.text, event); err != nil {
				return fmt.Errorf("a record can't be written as JSON: %w", err)
			}
			p.text = p.text[:start+len(keys.clean(p.text[start:]))]
		}
	}
	return nil
}

// appendLine appends a record as JSON, with its time, and its metadata if there are
// any, before the keys of its body. Keys may come twice.
func (l lines) appendLine(dst []byte, ev chunk.Event) ([]byte, error) {
	dst = append(dst, '{')
	start := len(dst)
	if l.options.DateKey != "" {
		dst, _, _ = transcode.AppendJSON(dst, mp.AppendString(nil, l.options.DateKey))
		dst = fmt.Appendf(dst, ":%d.%09d", ev.Sec, ev.Nsec)
	}
	_, metadata, err := header(ev)
	if err != nil {
		return dst, err
	}
	if n, _, err := mp.ReadMapHeader(metadata); err == nil && n > 0 && l.options.Metadata != options.MetadataOff {
		dst = comma(dst, start)
		dst = append(dst, `"_metadata":`...)
		if dst, _, err = transcode.AppendJSON(dst, metadata); err != nil {
			return dst, err
		}
	}
	before := len(dst)
	dst = comma(dst, start)
	if !ev.BodyIsMap() {
		dst = append(dst, `"body":`...)
		dst, _, err = transcode.AppendJSON(dst, ev.Body)
		return append(dst, "}\n"...), err
	}
	at := len(dst)
	if dst, _, err = transcode.AppendJSON(dst, ev.Body); err != nil {
		return dst, err
	}
	// The body's own braces go.
	if inner := dst[at+1:]; len(inner) == 1 {
		dst = append(dst[:before], '}')
	} else {
		dst = append(dst[:at], inner...)
	}
	return append(dst, '\n'), nil
}

func comma(dst []byte, start int) []byte {
	if len(dst) > start {
		return append(dst, ',')
	}
	return dst
}

// Package forward is a client of the Forward protocol, version 1, as fluentd and
// Fluent Bit speak it: messages of packed entries, gzip, acknowledgements, shared
// key and user, TLS, kept connections. What the far side says is not trusted: its
// replies are bounded in size and in time.
package forward

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

const (
	// maxReplyBytes bounds each HELO, PONG and acknowledgement.
	maxReplyBytes = 4096
	maxReplyDepth = 8

	// So many messages may wait for their acknowledgements on a connection: more
	// could fill both directions, with nobody reading.
	maxUnacknowledged = 16

	// idleTime is how long a connection is kept that nothing is sent on.
	idleTime = 30 * time.Second

	// lateTime is how long acknowledgements are read that came before a write failed.
	lateTime = 100 * time.Millisecond

	// closeTime is how long the end of TLS connections may take, which is a message.
	closeTime = time.Second
)

// Config says where the far side is and how to speak to it.
type Config struct {
	Network, Address string      // tcp or unix
	TLS              *tls.Config // nil: none

	SharedKey          string // "": the far side wants none
	SelfHostname       string
	Username, Password string

	Ack            bool // messages have been encoded with an ID, and are to be acknowledged
	Keepalive      bool
	ConnectTimeout time.Duration // for connection and handshakes
	Timeout        time.Duration // for all writes and acknowledgements of a Send
}

// Kind tells failures apart: it is one of a few fixed words.
type Kind string

// The kinds of failures.
const (
	Refused         Kind = "connection refused"
	TimedOut        Kind = "timed out"
	Connecting      Kind = "connecting"
	TLS             Kind = "TLS"
	Handshake       Kind = "handshake"
	Writing         Kind = "writing"
	Acknowledgement Kind = "acknowledgement"
)

// Error is why a Send failed.
type Error struct {
	Kind Kind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// failure makes an Error of one that came up while connecting, or whatever stage is. TLS
// and handshake stay what they are in time or not: who waits there has to look there.
func failure(stage Kind, err error) *Error {
	var timeout net.Error
	switch {
	case stage == TLS || stage == Handshake:
	case errors.Is(err, syscall.ECONNREFUSED):
		stage = Refused
	case errors.As(err, &timeout) && timeout.Timeout():
		stage = TimedOut
	}
	return &Error{stage, err}
}

// Message is an encoded message.
type Message struct {
	Wire []byte
	ID   string // which the far side acknowledges
	Done bool   // it has been acknowledged, or, without acknowledgements, written
}

// Encode makes a message of entries, count msgpack values one after the other. An
// empty id asks for no acknowledgement.
func Encode(tag string, entries []byte, count int, id string, compress bool) (*Message, error) {
	payload := entries
	if compress {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(entries); err != nil {
			return nil, err
		}
		if err := z.Close(); err != nil {
			return nil, err
		}
		payload = b.Bytes()
	}
	if int64(len(payload)) >= 1<<32 || len(tag) >= 1<<16 {
		return nil, errors.New("more than a message can hold")
	}
	options := 1
	if id != "" {
		options++
	}
	if compress {
		options++
	}
	b := make([]byte, 0, len(payload)+len(tag)+len(id)+64)
	b = mp.AppendArrayHeader(b, 3)
	b = mp.AppendString(b, tag)
	b = appendBin(b, payload)
	b = mp.AppendMapHeader(b, options)
	b = mp.AppendUint(mp.AppendString(b, "size"), uint64(count))
	if id != "" {
		b = mp.AppendString(mp.AppendString(b, "chunk"), id)
	}
	if compress {
		b = mp.AppendString(mp.AppendString(b, "compressed"), "gzip")
	}
	return &Message{Wire: b, ID: id}, nil
}

func appendBin(dst, payload []byte) []byte {
	n := len(payload)
	return append(append(dst, 0xc6, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)), payload...)
}

// Client sends messages. It is safe for concurrent use; each Send has a connection
// of its own.
type Client struct {
	config Config

	mu     sync.Mutex
	idle   []*conn // guarded by mu
	closed bool    // guarded by mu
}

// NewClient makes a client. It does not connect yet.
func NewClient(c Config) *Client { return &Client{config: c} }

// Close closes the idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	idle := c.idle
	c.closed, c.idle = true, nil
	c.mu.Unlock()
	var wg sync.WaitGroup
	for _, conn := range idle {
		wg.Go(conn.close)
	}
	wg.Wait()
}

// Send sends the messages that are not done, and marks those that come to be. On
// an error, an *Error unless ctx has ended, the others may be sent again: the far side
// may or may not have them. The end of ctx ends it at once.
func (c *Client) Send(ctx context.Context, messages []*Message) error {
	if !slices.ContainsFunc(messages, func(m *Message) bool { return !m.Done }) {
		return nil
	}
	conn, err := c.connection(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.raw.Close() })
	err = conn.send(messages)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.raw.Close()
		return err
	}
	if !c.keep(conn) {
		conn.close()
	}
	return nil
}

// keep keeps a connection for the next Send, if it may.
func (c *Client) keep(conn *conn) bool {
	if !c.config.Keepalive || conn.once {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	conn.since = time.Now()
	c.idle = append(c.idle, conn)
	return true
}

// connection takes an idle connection that is still good, or makes one.
func (c *Client) connection(ctx context.Context) (*conn, error) {
	for {
		c.mu.Lock()
		n := len(c.idle)
		if n == 0 {
			c.mu.Unlock()
			return c.connect(ctx)
		}
		conn := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		if time.Since(conn.since) < idleTime && conn.alive() {
			return conn, nil
		}
		conn.close()
	}
}

func (c *Client) connect(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.ConnectTimeout)
	defer cancel()
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, c.config.Network, c.config.Address)
	if err != nil {
		return nil, failure(Connecting, fmt.Errorf("connect: %w", err))
	}
	stage := Connecting
	conn := &conn{net: raw, raw: raw, config: &c.config}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	if c.config.TLS != nil {
		stage = TLS
		t := tls.Client(raw, c.config.TLS)
		if err = t.HandshakeContext(ctx); err != nil {
			err = fmt.Errorf("TLS with %s: %w", c.config.Address, err)
		}
		conn.net = t
	}
	if err == nil && c.config.SharedKey != "" {
		stage = Handshake
		if err = conn.handshake(); err != nil {
			err = fmt.Errorf("handshake with %s: %w", c.config.Address, err)
		}
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		if ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("no connection to %s within emit_connect_timeout: %w", c.config.Address, err)
		}
		return nil, failure(stage, err)
	}
	return conn, nil
}

// conn is a connection. One goroutine uses it at a time.
type conn struct {
	net    net.Conn
	raw    net.Conn // under TLS, what net is made of
	config *Config
	in     []byte // read, and not taken yet
	once   bool   // the far side wants it closed after use
	since  time.Time
}

// close closes the connection; under TLS the far side is told, if it takes that.
func (c *conn) close() {
	stop := time.AfterFunc(closeTime, func() { c.raw.Close() })
	defer stop.Stop()
	c.net.Close()
}

// alive looks whether the far side has closed an idle connection, or said what
// nobody asked it for.
func (c *conn) alive() bool {
	if len(c.in) > 0 {
		return false
	}
	sc, ok := c.raw.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	n, peekErr := -1, error(nil)
	err = raw.Read(func(fd uintptr) bool {
		n, _, peekErr = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	if err != nil {
		return false
	}
	if peekErr == syscall.EAGAIN {
		return true
	}
	if peekErr != nil || n == 0 || c.net == c.raw {
		return false
	}
	// TLS has something to read that may be its own affair.
	if c.net.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return false
	}
	_, err = c.net.Read(make([]byte, 1))
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// send sends messages and reads their acknowledgements. One deadline holds for all
// of it: a far side gains no time with each message that it takes, or each byte that
// it says.
func (c *conn) send(messages []*Message) error {
	if err := c.net.SetDeadline(time.Now().Add(c.config.Timeout)); err != nil {
		return failure(Writing, err)
	}
	waiting := map[string]*Message{}
	for _, m := range messages {
		if m.Done {
			continue
		}
		if _, err := c.net.Write(m.Wire); err != nil {
			c.late(waiting)
			return failure(Writing, fmt.Errorf("write: %w", overtime(err)))
		}
		if !c.config.Ack {
			m.Done = true
			continue
		}
		waiting[m.ID] = m
		if len(waiting) >= maxUnacknowledged {
			if err := c.acknowledged(waiting); err != nil {
				return failure(Acknowledgement, err)
			}
		}
	}
	for len(waiting) > 0 {
		if err := c.acknowledged(waiting); err != nil {
			return failure(Acknowledgement, err)
		}
	}
	return nil
}

// overtime says which option's time is over.
func overtime(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the far side has not taken and acknowledged all of the chunk within emit_timeout: %w", err)
	}
	return err
}

// late reads the acknowledgements that have come already when a write fails: a chunk
// that takes longer than one Send may is done in the end only if each of them counts.
func (c *conn) late(waiting map[string]*Message) {
	if c.net.SetReadDeadline(time.Now().Add(lateTime)) != nil {
		return
	}
	for len(waiting) > 0 && c.acknowledged(waiting) == nil {
	}
}

// acknowledged reads an acknowledgement of one of the messages.
func (c *conn) acknowledged(waiting map[string]*Message) error {
	reply, err := c.read()
	if err != nil {
		return fmt.Errorf("acknowledgement: %w", overtime(err))
	}
	if mp.KindOf(reply[0]) == mp.Array {
		return errors.New("the far side began a handshake instead of acknowledging: it wants a shared key, set emit_shared_key")
	}
	id, ok := field(reply, "ack")
	if !ok {
		return errors.New("the far side answered something that is no acknowledgement")
	}
	m := waiting[string(id)]
	if m == nil {
		return errors.New("the far side acknowledged something that was not sent")
	}
	m.Done = true
	delete(waiting, m.ID)
	return nil
}

// read takes one value from the far side, valid until the next read.
func (c *conn) read() ([]byte, error) {
	for {
		rest, err := mp.Skip(c.in, maxReplyDepth)
		if err == nil {
			value := c.in[:len(c.in)-len(rest)]
			c.in = rest
			return value, nil
		}
		if !errors.Is(err, mp.ErrTruncated) {
			return nil, fmt.Errorf("the far side answered something that is not of the Forward protocol: %w", err)
		}
		if len(c.in) >= maxReplyBytes {
			return nil, fmt.Errorf("the far side answered more than %d bytes", maxReplyBytes)
		}
		next := make([]byte, maxReplyBytes)
		kept := copy(next, c.in)
		n, err := c.net.Read(next[kept:])
		c.in = next[:kept+n]
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// handshake answers the HELO of a far side that knows the shared key. Who calls it
// closes the connection when it takes too long.
func (c *conn) handshake() error {
	helo, err := c.read()
	if err != nil {
		return fmt.Errorf("no HELO (does the far side have a shared key?): %w", err)
	}
	parts, ok := elements(helo)
	if !ok || len(parts) < 2 || text(parts[0]) != "HELO" {
		return errors.New("no HELO came first")
	}
	nonce, _ := field(parts[1], "nonce")
	authSalt, _ := field(parts[1], "auth")
	nonce, authSalt = bytes.Clone(nonce), bytes.Clone(authSalt)
	if keepalive, ok := raw(parts[1], "keepalive"); ok && keepalive[0] == 0xc2 {
		c.once = true
	}

	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	// Fluent Bit takes the salt for text.
	salt := hex.EncodeToString(random)
	host, key := c.config.SelfHostname, c.config.SharedKey
	username, password := "", ""
	if len(authSalt) > 0 {
		username = c.config.Username
		password = digest(string(authSalt), username, c.config.Password)
	}
	ping := mp.AppendArrayHeader(nil, 6)
	for _, s := range []string{"PING", host, salt, digest(salt, host, string(nonce), key), username, password} {
		ping = mp.AppendString(ping, s)
	}
	if _, err := c.net.Write(ping); err != nil {
		return err
	}

	pong, err := c.read()
	if err != nil {
		return fmt.Errorf("no PONG (is emit_shared_key the far side's?): %w", err)
	}
	parts, ok = elements(pong)
	if !ok || len(parts) < 5 || text(parts[0]) != "PONG" {
		return errors.New("no PONG came")
	}
	if parts[1][0] != 0xc3 {
		return fmt.Errorf("refused: %s", hostlog.Quote(text(parts[2]), hostlog.MaxTextBytes))
	}
	far := text(parts[3])
	if far == host {
		return fmt.Errorf("both sides call themselves %s: set emit_self_hostname", hostlog.Quote(far, hostlog.MaxTextBytes))
	}
	want := digest(salt, far, string(nonce), key)
	if subtle.ConstantTimeCompare([]byte(want), []byte(text(parts[4]))) != 1 {
		return errors.New("the far side does not know the shared key")
	}
	return nil
}

// digest is how the protocol proves knowledge of a secret.
func digest(parts ...string) string {
	sum := sha512.Sum512([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// elements takes an array of a few values apart, which must be valid.
func elements(b []byte) ([][]byte, bool) {
	n, rest, err := mp.ReadArrayHeader(b)
	if err != nil || n > 16 {
		return nil, false
	}
	var list [][]byte
	for ; n > 0; n-- {
		from := rest
		if rest, err = mp.Skip(rest, maxReplyDepth); err != nil {
			return nil, false
		}
		list = append(list, from[:len(from)-len(rest)])
	}
	return list, true
}

// raw finds the value of a key in a map.
func raw(b []byte, key string) ([]byte, bool) {
	n, rest, err := mp.ReadMapHeader(b)
	for ; err == nil && n > 0; n-- {
		k := rest
		if rest, err = mp.Skip(rest, maxReplyDepth); err != nil {
			return nil, false
		}
		v := rest
		if rest, err = mp.Skip(rest, maxReplyDepth); err != nil {
			return nil, false
		}
		if text(k) == key {
			return v[:len(v)-len(rest)], true
		}
	}
	return nil, false
}

// field finds the text of a key in a map.
func field(b []byte, key string) ([]byte, bool) {
	v, ok := raw(b, key)
	if !ok {
		return nil, false
	}
	h, contents, err := mp.ReadHead(v)
	if err != nil || h.Kind != mp.Str && h.Kind != mp.Bin {
		return nil, false
	}
	return contents[:h.Arg], true
}

// text is a value as text; "" if it is not text.
func text(v []byte) string {
	h, contents, err := mp.ReadHead(v)
	if err != nil || h.Kind != mp.Str && h.Kind != mp.Bin {
		return ""
	}
	return string(contents[:h.Arg])
}

package forward

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/forwardserver"
)

// entries are n entries, as many values one behind the other.
func entries(n int) []byte {
	var b []byte
	for i := range n {
		b = mp.AppendArrayHeader(b, 2)
		b = mp.AppendTimestampExt(b, int64(1700000000+i), 5)
		b = mp.AppendMapHeader(b, 1)
		b = mp.AppendUint(mp.AppendString(b, "n"), uint64(i))
	}
	return b
}

func encode(t *testing.T, tag string, n int, id string, compress bool) *Message {
	t.Helper()
	m, err := Encode(tag, entries(n), n, id, compress)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// record keeps what a server receives.
type record struct {
	mu       sync.Mutex
	messages []forwardserver.Message
	verdict  func(n int) forwardserver.Verdict
	came     chan struct{} // if not nil, told of each message
}

func (r *record) received(m forwardserver.Message) forwardserver.Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, m)
	if r.came != nil {
		r.came <- struct{}{}
	}
	if r.verdict != nil {
		return r.verdict(len(r.messages) - 1)
	}
	return forwardserver.Acknowledge
}

func (r *record) all() []forwardserver.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]forwardserver.Message(nil), r.messages...)
}

func listen(t *testing.T, c forwardserver.Config) *forwardserver.Server {
	t.Helper()
	s, err := forwardserver.Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

func client(t *testing.T, s *forwardserver.Server, change func(*Config)) *Client {
	t.Helper()
	c := Config{Network: "tcp", Address: s.Address(), SelfHostname: "near.example", Ack: true, Keepalive: true,
		ConnectTimeout: 20 * time.Second, Timeout: 20 * time.Second}
	if change != nil {
		change(&c)
	}
	client := NewClient(c)
	t.Cleanup(client.Close)
	return client
}

func TestSend(t *testing.T) {
	serverTLS, ca, err := forwardserver.Certificate(t.TempDir(), "far.example")
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	socket := filepath.Join(t.TempDir(), "s")
	for _, test := range []struct {
		name     string
		compress bool
		noAck    bool
		server   forwardserver.Config
		client   func(*Config)
	}{
		{name: "plain"},
		{name: "gzip", compress: true},
		{name: "no_ack", noAck: true, client: func(c *Config) { c.Ack = false }},
		{name: "unix", server: forwardserver.Config{Network: "unix", Address: socket},
			client: func(c *Config) { c.Network, c.Address = "unix", socket }},
		{name: "shared_key", server: forwardserver.Config{SharedKey: "s3cret"},
			client: func(c *Config) { c.SharedKey = "s3cret" }},
		{name: "user", server: forwardserver.Config{SharedKey: "s3cret", Username: "u", Password: "p"},
			client: func(c *Config) { c.SharedKey, c.Username, c.Password = "s3cret", "u", "p" }},
		{name: "tls_shared_key_gzip", compress: true, server: forwardserver.Config{TLS: serverTLS, SharedKey: "s3cret"},
			client: func(c *Config) {
				c.SharedKey, c.TLS = "s3cret", &tls.Config{RootCAs: roots, ServerName: "far.example"}
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			const rounds = 3
			got := record{came: make(chan struct{}, rounds)}
			test.server.Received = got.received
			s := listen(t, test.server)
			c := client(t, s, test.client)
			for i := range rounds {
				id := fmt.Sprintf("id-%d", i)
				if test.noAck {
					id = ""
				}
				if err := c.Send(context.Background(), []*Message{encode(t, "app.x", 40+i, id, test.compress)}); err != nil {
					t.Fatal(err)
				}
			}
			late := time.After(20 * time.Second)
			for n := range rounds {
				select {
				case <-got.came:
				case <-late:
					t.Fatalf("%d messages came", n)
				}
			}
			messages := got.all()
			for i, m := range messages {
				if m.Tag != "app.x" || m.Size != 40+i || m.Compressed != test.compress || !bytes.Equal(m.Events, entries(40+i)) {
					t.Errorf("message %d: tag %s, size %d, compressed %v, %d bytes", i, m.Tag, m.Size, m.Compressed, len(m.Events))
				}
			}
			if n := s.Connections(); n != 1 {
				t.Errorf("%d connections, want one that is kept", n)
			}
		})
	}
}

// What may go wrong is an error that says why, and the message is not done.
func TestRefusals(t *testing.T) {
	serverTLS, _, err := forwardserver.Certificate(t.TempDir(), "far.example")
	if err != nil {
		t.Fatal(err)
	}
	short := func(c *Config) { c.Timeout, c.ConnectTimeout = 200*time.Millisecond, 200*time.Millisecond }
	verdict := func(v forwardserver.Verdict) func(forwardserver.Message) forwardserver.Verdict {
		return func(forwardserver.Message) forwardserver.Verdict { return v }
	}
	for _, test := range []struct {
		name   string
		server forwardserver.Config
		client func(*Config)
		kind   Kind
		want   string
	}{
		{"wrong_key", forwardserver.Config{SharedKey: "a"}, func(c *Config) { c.SharedKey = "b" }, Handshake, "shared_key mismatch"},
		{"wrong_user", forwardserver.Config{SharedKey: "a", Username: "u"}, func(c *Config) { c.SharedKey = "a" }, Handshake, "username/password"},
		{"same_name", forwardserver.Config{SharedKey: "a", Hostname: "near.example"}, func(c *Config) { c.SharedKey = "a" }, Handshake, "emit_self_hostname"},
		{"key_needed", forwardserver.Config{SharedKey: "a"}, nil, Acknowledgement, "emit_shared_key"},
		{"key_unknown", forwardserver.Config{}, func(c *Config) { short(c); c.SharedKey = "b" }, Handshake, "emit_connect_timeout"},
		{"unknown_certificate", forwardserver.Config{TLS: serverTLS}, func(c *Config) { c.TLS = &tls.Config{ServerName: "far.example"} }, TLS, "TLS"},
		{"no_tls", forwardserver.Config{Raw: []byte("HTTP/1.1 400 Bad Request\r\n")}, func(c *Config) { c.TLS = &tls.Config{ServerName: "far.example"} }, TLS, "TLS"},
		{"never_acknowledges", forwardserver.Config{Received: verdict(forwardserver.Ignore)}, short, TimedOut, "emit_timeout"},
		{"never_reads", forwardserver.Config{Deaf: true}, short, TimedOut, "emit_timeout"},
		{"hung_tls_handshake", forwardserver.Config{Deaf: true},
			func(c *Config) { short(c); c.TLS = &tls.Config{ServerName: "far.example"} }, TLS, "emit_connect_timeout"},
		{"no_helo", forwardserver.Config{Deaf: true}, func(c *Config) { short(c); c.SharedKey = "b" }, Handshake, "emit_connect_timeout"},
		{"half_a_helo", forwardserver.Config{Raw: []byte{0x92, 0xa4, 'H', 'E'}},
			func(c *Config) { short(c); c.SharedKey = "b" }, Handshake, "emit_connect_timeout"},
		{"no_pong", forwardserver.Config{Raw: []byte("\x92\xa4HELO\x80")},
			func(c *Config) { short(c); c.SharedKey = "b" }, Handshake, "emit_connect_timeout"},
		{"half_an_acknowledgement", forwardserver.Config{Raw: []byte("\x81\xa3ack\xa6the")}, short, TimedOut, "emit_timeout"},
		{"hangs_up", forwardserver.Config{Received: verdict(forwardserver.Hangup)}, nil, Acknowledgement, "acknowledgement"},
		{"hangs_up_in_the_middle", forwardserver.Config{HangupAfter: 10}, nil, "", ""}, // while writing, or later,
		{"another_acknowledged", forwardserver.Config{Received: verdict(forwardserver.Wrong)}, nil, Acknowledgement, "not sent"},
		{"garbage", forwardserver.Config{Raw: []byte{0xc1, 0xc1}}, nil, Acknowledgement, "not of the Forward protocol"},
		{"a_scalar", forwardserver.Config{Raw: []byte{0x05}}, nil, Acknowledgement, "no acknowledgement"},
		{"http", forwardserver.Config{Raw: []byte("HTTP/1.1 400 Bad Request\r\n")}, nil, Acknowledgement, "no acknowledgement"},
		{"endless_string", forwardserver.Config{Raw: append([]byte{0xdb, 0xff, 0xff, 0xff, 0xff}, make([]byte, 1<<20)...)}, nil, Acknowledgement, "more than 4096 bytes"},
		{"endless_map", forwardserver.Config{Raw: append([]byte{0xdf, 0xff, 0xff, 0xff, 0xff}, make([]byte, 1<<20)...)}, nil, Acknowledgement, "more than 4096 bytes"},
		{"deep", forwardserver.Config{Raw: bytes.Repeat([]byte{0x91}, 1<<20)}, nil, Acknowledgement, "not of the Forward protocol"},
		{"bad_helo", forwardserver.Config{Raw: []byte{0x92, 0xa4, 'H', 'E', 'L', 'O', 0xc0}}, func(c *Config) { short(c); c.SharedKey = "b" }, Handshake, "emit_connect_timeout"},
		{"empty_helo", forwardserver.Config{Raw: []byte{0x90}}, func(c *Config) { c.SharedKey = "b" }, Handshake, "no HELO"},
		{"bad_pong", forwardserver.Config{Raw: []byte("\x92\xa4HELO\x80\x95\xa4PONG\xc3\xa0\xa1x\xa1y")}, func(c *Config) { c.SharedKey = "b" }, Handshake, "does not know the shared key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := listen(t, test.server)
			m := encode(t, "t", 1000, "the-id", false)
			err := client(t, s, test.client).Send(context.Background(), []*Message{m})
			if err == nil || m.Done {
				t.Fatalf("error %v, done %v", err, m.Done)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q does not say %q", err, test.want)
			}
			if e := (*Error)(nil); !errors.As(err, &e) || test.kind != "" && e.Kind != test.kind {
				t.Errorf("%v: %+v, want %s", err, e, test.kind)
			}
		})
	}
}

// What has been acknowledged is not sent again; of many messages, none is lost to a
// full pipe.
func TestOnlyWhatIsMissingIsSentAgain(t *testing.T) {
	got := record{verdict: func(n int) forwardserver.Verdict {
		if n == 30 {
			return forwardserver.Hangup
		}
		return forwardserver.Acknowledge
	}}
	s := listen(t, forwardserver.Config{Received: got.received})
	c := client(t, s, nil)
	var messages []*Message
	for i := range 100 {
		messages = append(messages, encode(t, "t", 1, fmt.Sprint(i), false))
	}
	if err := c.Send(context.Background(), messages); err == nil {
		t.Fatal("no error when the far side hung up")
	}
	if err := c.Send(context.Background(), messages); err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, m := range got.all() {
		times[m.ID]++
	}
	again := 0
	for _, m := range messages {
		switch times[m.ID] {
		case 0:
			t.Errorf("message %s never came", m.ID)
		case 1:
		default:
			again++
		}
	}
	// What was on its way when the connection broke may come again, no more.
	if again > maxUnacknowledged {
		t.Errorf("%d messages came again", again)
	}
}

// A connection that the far side closed while it was idle is not used again.
func TestIdleConnectionClosed(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		t.Run(fmt.Sprint("tls=", withTLS), func(t *testing.T) {
			serverTLS, ca, err := forwardserver.Certificate(t.TempDir(), "far.example")
			if err != nil {
				t.Fatal(err)
			}
			pem, _ := os.ReadFile(ca)
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(pem)
			var config forwardserver.Config
			if withTLS {
				config.TLS = serverTLS
			}
			s := listen(t, config)
			c := client(t, s, func(c *Config) {
				if withTLS {
					c.TLS = &tls.Config{RootCAs: roots, ServerName: "far.example"}
				}
			})
			for i := range 5 {
				if err := c.Send(context.Background(), []*Message{encode(t, "t", 1, fmt.Sprint(i), false)}); err != nil {
					t.Fatalf("send %d: %v", i, err)
				}
				s.HangUp()
				deadline := time.Now().Add(20 * time.Second)
				for {
					c.mu.Lock()
					alive := len(c.idle) > 0 && c.idle[0].alive()
					c.mu.Unlock()
					if !alive {
						break
					}
					if time.Now().After(deadline) {
						t.Fatal("a closed connection looks alive")
					}
				}
			}
		})
	}
}

// The end of the context ends a send that waits.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := listen(t, forwardserver.Config{Received: func(forwardserver.Message) forwardserver.Verdict {
		cancel()
		return forwardserver.Ignore
	}})
	c := client(t, s, func(c *Config) { c.Timeout = time.Hour })
	if err := c.Send(ctx, []*Message{encode(t, "t", 1, "id", false)}); err == nil {
		t.Error("no error")
	}
}

func TestRefusedConnection(t *testing.T) {
	s := listen(t, forwardserver.Config{})
	c := client(t, s, nil)
	s.Kill()
	err := c.Send(context.Background(), []*Message{encode(t, "t", 1, "id", false)})
	if e := (*Error)(nil); !errors.As(err, &e) || e.Kind != Refused {
		t.Errorf("%v: %+v", err, e)
	}
}

// A name whose resolution hangs costs no more than emit_connect_timeout.
func TestNameResolutionHangs(t *testing.T) {
	before := net.DefaultResolver
	defer func() { net.DefaultResolver = before }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	c := NewClient(Config{Network: "tcp", Address: "far.example:24224", ConnectTimeout: 100 * time.Millisecond, Timeout: time.Hour})
	defer c.Close()
	err := c.Send(context.Background(), []*Message{encode(t, "t", 1, "", false)})
	if e := (*Error)(nil); !errors.As(err, &e) || e.Kind != TimedOut {
		t.Errorf("%v: %+v", err, e)
	}
}

// A far side that says a byte now and then gains no time with each of them: all of a
// chunk has to be acknowledged within one timeout.
func TestDrip(t *testing.T) {
	got := record{verdict: func(int) forwardserver.Verdict { return forwardserver.Drip }}
	c := client(t, listen(t, forwardserver.Config{Received: got.received}), func(c *Config) { c.Timeout = 2 * time.Second })
	var messages []*Message
	for i := range 100 { // which take some 20 s
		messages = append(messages, encode(t, "t", 1, fmt.Sprintf("a-long-id-%d", i), false))
	}
	err := c.Send(context.Background(), messages)
	if err == nil || !strings.Contains(err.Error(), "emit_timeout") {
		t.Errorf("error %v", err)
	}
	if !messages[0].Done || messages[99].Done {
		t.Errorf("the first is done: %v, the last: %v", messages[0].Done, messages[99].Done)
	}
}

// What has been acknowledged when a write fails is done: a chunk that takes longer
// than one Send may comes to an end.
func TestAcknowledgedBeforeAFailedWrite(t *testing.T) {
	got := record{verdict: func(int) forwardserver.Verdict { return forwardserver.Last }}
	c := client(t, listen(t, forwardserver.Config{Received: got.received}), func(c *Config) { c.Timeout = 3 * time.Second })
	large, err := Encode("t", bytes.Repeat(entries(1), 1_000_000), 1_000_000, "large", false) // more than sockets hold
	if err != nil {
		t.Fatal(err)
	}
	messages := []*Message{encode(t, "t", 1, "small", false), large}
	for i := range messages {
		if err := c.Send(context.Background(), messages); i == 0 && (err == nil || !strings.Contains(err.Error(), "write: ")) {
			t.Fatalf("error %v", err)
		}
		if done := [2]bool{messages[0].Done, messages[1].Done}; done != [2]bool{true, i == 1} {
			t.Errorf("after %d attempts done: %v", i+1, done)
		}
	}
}

// An acknowledgement that comes twice costs at most a repetition.
func TestAcknowledgedTwice(t *testing.T) {
	got := record{verdict: func(int) forwardserver.Verdict { return forwardserver.Twice }}
	c := client(t, listen(t, forwardserver.Config{Received: got.received}), nil)
	for i := range 50 {
		messages := []*Message{encode(t, "t", 1, fmt.Sprint("a", i), false)}
		for attempts := 0; c.Send(context.Background(), messages) != nil; attempts++ {
			if attempts > 1 {
				t.Fatal("it is not done in three attempts")
			}
		}
		if !messages[0].Done {
			t.Fatal("not done without an error")
		}
	}
}

// stubborn is a connection whose end, as that of a TLS connection, waits for the far
// side.
type stubborn struct {
	net.Conn
	ended chan struct{}
}

func (s stubborn) Close() error { <-s.ended; return nil }

// abrupt is what is under it.
type abrupt struct {
	net.Conn
	ended chan struct{}
}

func (a abrupt) Close() error { close(a.ended); return nil }

func TestCloseDoesNotWait(t *testing.T) {
	c := NewClient(Config{Keepalive: true})
	for range 64 {
		ended := make(chan struct{})
		if !c.keep(&conn{net: stubborn{ended: ended}, raw: abrupt{ended: ended}}) {
			t.Fatal("not kept")
		}
	}
	closed := make(chan struct{})
	go func() { c.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatal("connections are closed one after the other, or not at all")
	}
	if ended := make(chan struct{}); c.keep(&conn{net: stubborn{ended: ended}}) {
		t.Error("a connection is kept after the end")
	}
}

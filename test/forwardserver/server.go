// Package forwardserver is a receiver of the Forward protocol for tests, which does
// wrong what it is told to. What is on the wire is read and written by
// github.com/IBM/fluent-forward-go, not by this project's client.
package forwardserver

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/IBM/fluent-forward-go/fluent/protocol"
	"github.com/tinylib/msgp/msgp"
)

// Message is a message that came in, unpacked.
type Message struct {
	Tag        string
	Events     []byte
	ID         string // "" if no acknowledgement is asked for
	Size       int    // how many events the sender says there are; -1 if it does not
	Compressed bool
	Connection int // the number of the connection, from 0
}

// Verdict is what the server does about a message.
type Verdict int

// The verdicts.
const (
	Acknowledge Verdict = iota
	Ignore              // never answers
	Hangup              // closes the connection instead
	Wrong               // acknowledges another message
	Twice               // acknowledges it two times
	Drip                // acknowledges it a byte at a time
	Last                // acknowledges it, and reads nothing more
)

// dripInterval is between two bytes of an acknowledgement that drips.
const dripInterval = 10 * time.Millisecond

// Config says how a server is. Received is called for each message, on the
// connection's goroutine: it may wait.
type Config struct {
	Network, Address   string // tcp or unix
	TLS                *tls.Config
	SharedKey          string
	Hostname           string
	Username, Password string // asked for if set
	Received           func(Message) Verdict
	Raw                []byte // what is sent to each connection at once, instead of all else
	HangupAfter        int    // closes connections after so many bytes of the next message; 0 for never
	Deaf               bool   // accepts connections, and neither reads nor writes
}

// Server is a running server.
type Server struct {
	config   Config
	listener net.Listener
	wg       sync.WaitGroup
	killed   chan struct{}

	mu     sync.Mutex
	conns  map[net.Conn]bool
	count  int
	closed bool
}

// Listen starts a server.
func Listen(c Config) (*Server, error) {
	if c.Network == "" {
		c.Network = "tcp"
	}
	if c.Address == "" {
		c.Address = "127.0.0.1:0"
	}
	if c.Hostname == "" {
		c.Hostname = "far.example"
	}
	l, err := net.Listen(c.Network, c.Address)
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, listener: l, killed: make(chan struct{}), conns: map[net.Conn]bool{}}
	s.wg.Add(1)
	go s.accept()
	return s, nil
}

// Address returns where the server listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Connections returns how many connections there have been.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// HangUp closes all connections and goes on listening.
func (s *Server) HangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		kill(c)
	}
}

// Kill ends the server as the end of its process would.
func (s *Server) Kill() {
	s.listener.Close()
	s.mu.Lock()
	if !s.closed {
		close(s.killed)
	}
	s.closed = true
	for c := range s.conns {
		kill(c)
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func kill(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			kill(c)
			continue
		}
		s.conns[c] = true
		number := s.count
		s.count++
		s.mu.Unlock()
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			var conn net.Conn = c
			if s.config.TLS != nil {
				conn = tls.Server(c, s.config.TLS)
			}
			_ = s.serve(conn, number)
			conn.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
	}
}

var errHungUp = errors.New("hung up")

func (s *Server) serve(c net.Conn, number int) error {
	if s.config.Deaf {
		<-s.killed
		return errHungUp
	}
	if s.config.Raw != nil {
		c.Write(s.config.Raw)
		_, err := io.Copy(io.Discard, c)
		return err
	}
	if s.config.HangupAfter > 0 {
		_, err := io.ReadFull(c, make([]byte, s.config.HangupAfter))
		kill(c)
		return err
	}
	r, w := msgp.NewReader(c), msgp.NewWriter(c)
	if s.config.SharedKey != "" {
		if err := s.handshake(r, w); err != nil {
			return err
		}
	}
	for {
		var m protocol.PackedForwardMessage
		if err := m.DecodeMsg(r); err != nil {
			return err
		}
		got := Message{Tag: m.Tag, Events: m.EventStream, Size: -1, Connection: number}
		if m.Options != nil {
			got.ID = m.Options.Chunk
			if m.Options.Size != nil {
				got.Size = *m.Options.Size
			}
			if m.Options.Compressed == "gzip" {
				got.Compressed = true
				z, err := gzip.NewReader(bytes.NewReader(m.EventStream))
				if err != nil {
					return err
				}
				if got.Events, err = io.ReadAll(z); err != nil {
					return err
				}
			}
		}
		verdict := Acknowledge
		if s.config.Received != nil {
			verdict = s.config.Received(got)
		}
		switch {
		case verdict == Hangup:
			kill(c)
			return errHungUp
		case verdict == Ignore || got.ID == "":
			continue
		case verdict == Wrong:
			got.ID = "x" + got.ID
		}
		ack := protocol.AckMessage{Ack: got.ID}
		reply, err := ack.MarshalMsg(nil)
		if err != nil {
			return err
		}
		switch verdict {
		case Twice:
			reply = append(reply, reply...)
		case Drip:
			for ; len(reply) > 1; reply = reply[1:] {
				if _, err := c.Write(reply[:1]); err != nil {
					return err
				}
				select {
				case <-time.After(dripInterval):
				case <-s.killed:
				}
			}
		}
		if _, err := c.Write(reply); err != nil {
			return err
		}
		if verdict == Last {
			<-s.killed
			return errHungUp
		}
	}
}

func (s *Server) handshake(r *msgp.Reader, w *msgp.Writer) error {
	helo := protocol.NewHelo(&protocol.HeloOpts{Nonce: []byte("0123456789abcdef"), Keepalive: true})
	if s.config.Username != "" {
		helo.Options.Auth = []byte("auth-salt")
	}
	if err := helo.EncodeMsg(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	ping, err := readPing(r)
	if err != nil {
		return err
	}
	reason := ""
	if err := protocol.ValidatePingDigest(ping, []byte(s.config.SharedKey), helo.Options.Nonce); err != nil {
		reason = "shared_key mismatch"
	} else if s.config.Username != "" && (ping.Username != s.config.Username ||
		ping.Password != passwordDigest("auth-salt", s.config.Username, s.config.Password)) {
		reason = "username/password mismatch"
	}
	pong, err := protocol.NewPong(reason == "", reason, s.config.Hostname, []byte(s.config.SharedKey), helo, ping)
	if err != nil {
		return err
	}
	if err := pong.EncodeMsg(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if reason != "" {
		return errors.New(reason)
	}
	return nil
}

// Certificate makes a certificate for a name, signed by itself, and writes it to
// NAME.pem in dir, and its key to NAME.key.
func Certificate(dir, name string) (config *tls.Config, file string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, "", err
	}
	file = filepath.Join(dir, name+".pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, "", err
	}
	text = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	if err := os.WriteFile(filepath.Join(dir, name+".key"), text, 0o600); err != nil {
		return nil, "", err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, file, nil
}

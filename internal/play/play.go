// Package play is the page on which a module and records are tried live: an HTTP server for one user of this
// machine. What the page sends, what modules make and what a Fluent Bit sends is bounded and not trusted.
package play

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// Config is what a page is about.
type Config struct {
	Module     string             // path of the module
	Properties []options.Property // options of the filter, the module's path not among them
	Input      string             // the records that the page begins with
	Tag        string             // of records of which no line says it
	LogLevel   hostlog.Level
	Quick      bool // compile quickly
	Last       int  // how many records of a Fluent Bit are kept
}

// Server is a page that is served.
type Server struct {
	config   Config
	token    string
	listener net.Listener
	forward  net.Listener // nil: nothing is received
	received *received
	hub      hub
	jobs     chan *job
}

// MaxInputBytes bounds the records that a run takes.
const MaxInputBytes = 8 << 20

// New makes a server that listens, and receives records of Fluent Bit, where it is told; forward may be nil.
// Run closes both.
func New(config Config, listener, forward net.Listener) *Server {
	s := &Server{config: config, token: rand.Text(), listener: listener, forward: forward, jobs: make(chan *job)}
	s.received = newReceived(config.Last, func() { s.hub.tell(eventReceived) })
	return s
}

// Listen listens on an address of this machine that others can't reach, HOST:PORT or PORT alone.
func Listen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = "127.0.0.1", address
	}
	if host != "localhost" {
		if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
			return nil, fmt.Errorf("%q is not an address of this machine alone: give PORT, 127.0.0.1:PORT, [::1]:PORT or localhost:PORT", address)
		}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, fmt.Errorf("%q has no port: give a number up to 65535, or HOST:PORT", address)
	}
	return net.Listen("tcp", net.JoinHostPort(host, port))
}

// URL is where the page is, with the token that lets its reader use it.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + "/#token=" + s.token }

// Run serves until the context ends. Guests run on the caller's thread, which is one of guest.Go.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler:           s.handler(ctx),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(s.listener) }()
	if s.forward != nil {
		go func() { failed <- s.received.serve(ctx, s.forward) }()
	}
	go s.watch(ctx)
	defer server.Close()

	r := runner{config: s.config}
	defer r.close()
	for {
		select {
		case j := <-s.jobs:
			j.result <- r.run(j.ctx, j.request)
		case err := <-failed:
			return err
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil
			}
			return ctx.Err()
		}
	}
}

// watch tells pages when the module, or a file that goes with it, has changed.
func (s *Server) watch(ctx context.Context) {
	files := []string{s.config.Module}
	if sp, err := s.config.spec(nil, s.config.LogLevel); err == nil {
		files = sp.Files()
	}
	for w := trial.NewWatch(files); ; s.hub.tell(eventModule) {
		if _, err := w.Wait(ctx); err != nil {
			return
		}
	}
}

package play

import (
	"context"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/version"
)

//go:embed page
var embedded embed.FS

// contentTypes are those of the page's files: what has another suffix is not served.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

const (
	// The page has no script, style or connection but its own server's.
	contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

	// A request is the input as JSON, which escapes some of it, and options.
	maxRequestBytes = 2*MaxInputBytes + 2<<20

	maxPages = 16 // that listen to events at once
)

// handler is all that is served. Anyone may read the page, which is the same for all. All else needs the token.
func (s *Server) handler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	files, err := fs.Sub(embedded, "page")
	if err != nil {
		panic(err) // it is embedded
	}
	mux.HandleFunc("GET /{name...}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if name == "" {
			name = "index.html"
		}
		data, err := fs.ReadFile(files, name)
		kind, known := contentTypes[path.Ext(name)]
		if err != nil || !known {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(data)
	})
	mux.HandleFunc("GET /api/state", s.withToken(s.serveState))
	mux.HandleFunc("POST /api/run", s.withToken(s.serveRun))
	mux.HandleFunc("GET /api/received", s.withToken(s.serveReceived))
	mux.HandleFunc("GET /api/events", s.withToken(func(w http.ResponseWriter, r *http.Request) { s.serveEvents(ctx, w, r) }))
	return s.guard(mux)
}

// guard refuses what comes from another page: by another name of this machine, which somebody's name server gives
// it (DNS rebinding), or across origins.
func (s *Server) guard(next http.Handler) http.Handler {
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	var hosts []string
	for _, host := range []string{"127.0.0.1", "::1", "localhost"} {
		hosts = append(hosts, net.JoinHostPort(host, port))
	}
	hosts = append(hosts, s.listener.Addr().String())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !slices.Contains(hosts, r.Host) {
			http.Error(w, "this page has no such name: open the address that flb-wasmtime play has printed", http.StatusForbidden)
			return
		}
		// A link on another page may lead to the page itself, and to nothing else.
		site := r.Header.Get("Sec-Fetch-Site")
		isLink := r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
		if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host ||
			site != "" && site != "same-origin" && site != "none" && !isLink {
			http.Error(w, "another page may not ask this", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// withToken asks for the token: in a header, or of an EventSource, which sends none, in the query.
func (s *Server) withToken(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("X-Token")
		if given == "" {
			given = r.URL.Query().Get("token")
		}
		if subtle.ConstantTimeCompare([]byte(given), []byte(s.token)) != 1 {
			http.Error(w, "the token is missing or not that of this process: open the address that flb-wasmtime play has printed", http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v) // who has gone needs no answer
}

// serveState is what a page begins with.
func (s *Server) serveState(w http.ResponseWriter, _ *http.Request) {
	type property struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	values := []property{}
	for _, p := range s.config.Properties {
		values = append(values, property(p))
	}
	state := struct {
		Version       string     `json:"version"`
		Module        moduleInfo `json:"module"`
		Rows          []row      `json:"rows"`
		Options       []property `json:"options"`
		Input         string     `json:"input"`
		Tag           string     `json:"tag"`
		LogLevel      string     `json:"logLevel"`
		LogLevels     []string   `json:"logLevels"`
		Quick         bool       `json:"quick"`
		MaxInputBytes int        `json:"maxInputBytes"`
		Forward       string     `json:"forward,omitempty"`
		Last          int        `json:"last"`
	}{
		Version: version.Version, Module: moduleOf(s.config.Module), Rows: form(), Options: values,
		Input: s.config.Input, Tag: s.config.Tag, LogLevel: trial.LevelNames[s.config.LogLevel], LogLevels: trial.LevelNames,
		Quick: s.config.Quick, MaxInputBytes: MaxInputBytes, Last: s.config.Last,
	}
	if s.forward != nil {
		state.Forward = s.forward.Addr().String()
	}
	writeJSON(w, state)
}

// job is a request that waits for the runner.
type job struct {
	ctx     context.Context
	request request
	result  chan *result
}

func (s *Server) serveRun(w http.ResponseWriter, r *http.Request) {
	var q struct {
		request
		Options []struct{ Key, Value string } `json:"options"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&q); err != nil {
		code := http.StatusBadRequest
		if e := (*http.MaxBytesError)(nil); errors.As(err, &e) {
			code = http.StatusRequestEntityTooLarge
		}
		http.Error(w, fmt.Sprintf("the request can't be read: %v", err), code)
		return
	}
	if len(q.Input) > MaxInputBytes {
		http.Error(w, fmt.Sprintf("the records have %d bytes, and a run takes %d", len(q.Input), MaxInputBytes), http.StatusRequestEntityTooLarge)
		return
	}
	for _, p := range q.Options {
		q.request.Options = append(q.request.Options, options.Property(p))
	}
	j := &job{ctx: r.Context(), request: q.request, result: make(chan *result, 1)}
	select {
	case s.jobs <- j:
	case <-r.Context().Done():
		return
	}
	select {
	case out := <-j.result:
		writeJSON(w, out)
	case <-r.Context().Done():
	}
}

// serveReceived is what a Fluent Bit has sent, as lines of events.
func (s *Server) serveReceived(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, s.received.state(true))
}

const (
	eventModule   = "module"   // it has changed
	eventReceived = "received" // a Fluent Bit has sent something
)

// keepAlive is how often a page hears of this process when there is nothing else.
const keepAlive = 15 * time.Second

// serveEvents tells a page what happens, as server-sent events, until it or this process ends.
func (s *Server) serveEvents(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	page, leave, ok := s.hub.join()
	if !ok {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	send := func(event string, v any) bool {
		data, err := json.Marshal(v)
		if err != nil {
			return false
		}
		_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data)
		return err == nil && control.Flush() == nil
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	// What has happened before it came is told at once.
	ok = send(eventModule, moduleOf(s.config.Module)) && send(eventReceived, s.received.state(false))
	for ok {
		select {
		case <-page.module:
			ok = send(eventModule, moduleOf(s.config.Module))
		case <-page.received:
			ok = send(eventReceived, s.received.state(false))
		case <-alive.C:
			ok = send("alive", nil)
		case <-ctx.Done():
			return
		case <-r.Context().Done():
			return
		}
	}
}

// listener is a page that listens: what there is to tell it, once each.
type listener struct{ module, received chan struct{} }

// hub hands events to the pages that listen.
type hub struct {
	mu    sync.Mutex
	pages map[listener]bool
}

func (h *hub) join() (l listener, leave func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pages) >= maxPages {
		return l, nil, false
	}
	if h.pages == nil {
		h.pages = make(map[listener]bool)
	}
	l = listener{make(chan struct{}, 1), make(chan struct{}, 1)}
	h.pages[l] = true
	return l, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.pages, l)
	}, true
}

// tell never waits: who has not been told of the last event yet learns of this one, too.
func (h *hub) tell(event string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.pages {
		c := l.received
		if event == eventModule {
			c = l.module
		}
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

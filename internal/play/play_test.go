package play

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// module is a file with a guest of test/guests.
func module(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".wat")
	if err := os.WriteFile(path, []byte(guests.WAT(name)), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// start serves a page for that module until the test ends.
func start(t *testing.T, config Config) *Server {
	t.Helper()
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	forward, err := Listen("0")
	if err != nil {
		t.Fatal(err)
	}
	if config.Last == 0 {
		config.Last = 3
	}
	config.LogLevel = hostlog.Info
	s := New(config, listener, forward)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	if err := guest.Go(func() { ended <- s.Run(ctx) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

// ask sends a request, with the token.
func (s *Server) ask(t *testing.T, method, path string, body string, change func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+s.listener.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Token", s.token)
	if change != nil {
		change(r)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

// run runs records as a page does.
func (s *Server) run(t *testing.T, input string, set ...string) result {
	t.Helper()
	type property struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	list := []property{}
	for i := 0; i < len(set); i += 2 {
		list = append(list, property{set[i], set[i+1]})
	}
	body, err := json.Marshal(map[string]any{"input": input, "logLevel": "info", "quick": true, "options": list})
	if err != nil {
		t.Fatal(err)
	}
	code, text, _ := s.ask(t, "POST", "/api/run", string(body), nil)
	var r result
	if err := json.Unmarshal([]byte(text), &r); err != nil || code != http.StatusOK {
		t.Fatalf("%d %v: %s", code, err, text)
	}
	return r
}

// Only the page that this process has served gets an answer.
func TestGuard(t *testing.T) {
	s := start(t, Config{Module: module(t, "identity")})
	address := s.listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	link := func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
	}
	for _, tt := range []struct {
		name, method, path string
		change             func(*http.Request)
		want               int
	}{
		{"the page", "GET", "/", nil, 200},
		{"its script", "GET", "/play.js", nil, 200},
		{"the state", "GET", "/api/state", nil, 200},
		{"by its name", "GET", "/api/state", host("localhost:" + port), 200},
		{"by the page itself", "GET", "/api/state", header("Origin", "http://"+address), 200},
		{"by a link elsewhere", "GET", "/", link, 200},
		{"the state by a link elsewhere", "GET", "/api/state", link, 403},
		{"DNS rebinding", "GET", "/api/state", host("evil.example:" + port), 403},
		{"DNS rebinding of the page", "GET", "/", host("evil.example"), 403},
		{"another port", "GET", "/", host("127.0.0.1:1"), 403},
		{"another origin", "POST", "/api/run", header("Origin", "http://evil.example"), 403},
		{"another port's page", "GET", "/api/state", header("Origin", "http://127.0.0.1:1"), 403},
		{"no origin", "GET", "/api/state", header("Origin", "null"), 403},
		{"a script of another site", "GET", "/play.js", header("Sec-Fetch-Site", "cross-site"), 403},
		{"a page of this host", "GET", "/api/state", header("Sec-Fetch-Site", "same-site"), 403},
		{"no token", "GET", "/api/state", header("X-Token", ""), 401},
		{"a wrong token", "GET", "/api/state", header("X-Token", "x"+s.token[1:]), 401},
		{"events without a token", "GET", "/api/events", header("X-Token", ""), 401},
		{"a run without a token", "POST", "/api/run", header("X-Token", ""), 401},
		{"records without a token", "GET", "/api/received", header("X-Token", ""), 401},
		{"no method for it", "GET", "/api/run", nil, 404},
		{"a file", "GET", "/../play.go", nil, 404},
		{"a file, encoded", "GET", "/%2e%2e/%2e%2e/etc/passwd", nil, 404},
		{"a directory", "GET", "/page", nil, 404},
	} {
		code, text, headers := s.ask(t, tt.method, tt.path, "{}", tt.change)
		if code != tt.want {
			t.Errorf("%s: %d, and not %d: %.200s", tt.name, code, tt.want, text)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if !strings.Contains(headers.Get(name), want) {
				t.Errorf("%s: %s is %q", tt.name, name, headers.Get(name))
			}
		}
		if headers.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: other origins are let in", tt.name)
		}
	}
}

func TestListenIsLoopback(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0", "127.0.0.1.example.com:0", "[::ffff:0.0.0.0]:0"} {
		if l, err := Listen(address); err == nil || !strings.Contains(err.Error(), "this machine alone") {
			t.Errorf("%s: %v, %v", address, l, err)
		}
	}
	for _, address := range []string{"0", "127.0.0.1:0", "localhost:0", "127.1.2.3:0"} {
		l, err := Listen(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if !l.Addr().(*net.TCPAddr).IP.IsLoopback() {
			t.Errorf("%s: listens on %v", address, l.Addr())
		}
		l.Close()
	}
}

func statuses(r result) (list []string) {
	for _, x := range r.Records {
		list = append(list, fmt.Sprintf("%d %s", x.Line, x.Status))
	}
	return list
}

func TestRun(t *testing.T) {
	s := start(t, Config{Module: module(t, "trap_when_told")})
	r := s.run(t, "{\"a\":1}\n\n{\"b\":{\"trap\":true}}\n{\"trap\":true}\nno record\n{\n \"c\": 3\n}\n[{\"d\":4},{\"e\":5}]\n"+
		`[["2026-01-02T15:04:05.678Z",{"m":1}],{"f":6}]`+"\n")
	want := []string{"1 unchanged", "3 failed", "4 failed", "5 unreadable", "6 unchanged", "9 unchanged", "9 unchanged", "10 unchanged"}
	if diff := cmp.Diff(want, statuses(r)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(counts{Records: 8, Unchanged: 5, Failed: 3}, r.Counts); diff != "" {
		t.Error(diff)
	}
	// Each record that fails has a line of its own, however many do.
	for _, i := range []int{1, 2} {
		if why := r.Records[i].Reason; !strings.Contains(why, "unreachable") || !strings.Contains(why, "; backtrace: ") {
			t.Errorf("the reason of record %d is %q", i, why)
		}
	}
	errorLines := []int{}
	for _, l := range r.Log {
		if l.Level == "error" {
			errorLines = append(errorLines, l.Line)
		}
	}
	if diff := cmp.Diff([]int{3, 4}, errorLines); diff != "" {
		t.Error(diff)
	}
	if r.Time == nil || r.Time.Min <= 0 || r.Time.Min > r.Time.Median || r.Time.Median > r.Time.P95 || r.Time.P95 > r.Time.Max {
		t.Errorf("the times are %+v", r.Time)
	}
	if r.Module.Function != "filter" || r.Module.SHA256 == "" {
		t.Errorf("the module is %+v", r.Module)
	}
	// A run begins anew: what another has done is not seen.
	if r := s.run(t, "[{\"a\":1}]"); r.Counts.Records != 1 {
		t.Errorf("the counts are %+v", r.Counts)
	}
}

// What is emitted under other tags goes with the record of which it was, and what is held back comes at a tick or at
// the end.
func TestEmitted(t *testing.T) {
	s := start(t, Config{Module: module(t, "routes")})
	r := s.run(t, `{"a":1}`+"\n"+`[[5,{"m":1}],{"to":"x.y","n":2}]`+"\n"+`{"to":"x.z","n":1}`+"\n"+`{"bad":"!"}`+"\n"+`["tick"]`,
		"emit_tags", "x.*", "on_error", "route:dead")
	if got, want := statuses(r), []string{"1 unchanged", "2 routed", "3 changed", "4 failed", "5 unreadable"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if want := (counts{Records: 4, Unchanged: 1, Routed: 1, Changed: 1, Failed: 1, Emitted: 3}); r.Counts != want {
		t.Errorf("%+v, want %+v", r.Counts, want)
	}
	for i, want := range map[int][]emitted{
		1: {{"x.y", `[["1970-01-01T00:00:05Z",{"m":1}],{"to":"x.y","n":2}]`}},
		2: {{"x.z", `{"to":"x.z","n":1}`}},
		3: {{"dead", ""}},
	} {
		got := r.Records[i].Others
		if i == 3 && len(got) == 1 {
			if !strings.Contains(got[0].Line, `"wasmtime_error"`) {
				t.Errorf("%+v", got)
			}
			got[0].Line = ""
		}
		if !slices.Equal(got, want) {
			t.Errorf("record %d: %+v, want %+v", i, got, want)
		}
	}
	moved := r.Records[1].Blocks
	if len(moved) != 2 || moved[0].Title != "emitted under x.y, metadata" || moved[1].Title != "emitted under x.y" || moved[1].Lines[0].Sign != "" {
		t.Errorf("%+v", moved)
	}

	s = start(t, Config{Module: module(t, "folds")})
	r = s.run(t, "{}\n[\"tick\"]\n{}\n{}", "emit_tags", "counts")
	if got, want := statuses(r), []string{"1 dropped", "2 tick", "3 dropped", "4 dropped", "0 tick"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for i, want := range map[int]string{1: `{"n":1,"last":0}`, 4: `{"n":2,"last":1}`} {
		if got := r.Records[i].Others; len(got) != 1 || got[0].Tag != "counts" || !strings.Contains(got[0].Line, want) {
			t.Errorf("%d: %+v", i, got)
		}
	}
	if want := (counts{Records: 3, Dropped: 3, Emitted: 2}); r.Counts != want {
		t.Errorf("%+v, want %+v", r.Counts, want)
	}
	r = s.run(t, strings.Repeat("{}\n", 10), "emit_tags", "counts")
	if last := r.Records[len(r.Records)-1]; last.Status != "tick" || !strings.Contains(last.Reason, "flb_tick") {
		t.Errorf("%+v", last)
	}
}

func TestProblems(t *testing.T) {
	s := start(t, Config{Module: module(t, "identity"), Properties: []options.Property{{Key: "on_error", Value: "drop"}}})
	for _, tt := range []struct {
		set          []string
		option, text string
	}{
		{[]string{"on_error", "explode"}, "on_error", `invalid value "explode": allowed are passthrough`},
		{[]string{"on_eror", "drop"}, "", "unknown option \"on_eror\""},
		{[]string{"function_name", "fliter"}, "", `did you mean filter`},
		{[]string{"cache_dir", "/tmp"}, "cache_dir", "when it is started"},
		{[]string{"Accessible_Paths", "/"}, "accessible_paths", "when it is started"},
		{[]string{"wasm_path", "/etc/passwd"}, "wasm_path", "when it is started"},
		{[]string{"config_file", "/etc/passwd"}, "config_file", "when it is started"},
		{[]string{"table.x", "/etc/passwd.csv"}, "table.x", "when it is started"},
		{[]string{"allow_precompiled", "on"}, "allow_precompiled", "when it is started"},
	} {
		r := s.run(t, "{}", tt.set...)
		if r.Problem == nil || r.Problem.Option != tt.option || !strings.Contains(r.Problem.Text, tt.text) {
			t.Errorf("%q: %+v", tt.set, r.Problem)
		}
	}
	if r := s.run(t, "{}"); r.Problem != nil || r.Counts.Unchanged != 1 {
		t.Errorf("%+v %+v", r.Problem, r.Counts)
	}
	for _, body := range []string{"", "{", `{"unknown":1}`, `[]`} {
		if code, _, _ := s.ask(t, "POST", "/api/run", body, nil); code != http.StatusBadRequest {
			t.Errorf("%q: %d", body, code)
		}
	}
	if code, _, _ := s.ask(t, "POST", "/api/run", `{"logLevel":"info","input":"`+strings.Repeat("x", MaxInputBytes+1)+`"}`, nil); code != http.StatusRequestEntityTooLarge {
		t.Errorf("too many records: %d", code)
	}
	if code, _, _ := s.ask(t, "POST", "/api/run", `{"input":"`+strings.Repeat("x", maxRequestBytes)+`"}`, nil); code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large a request: %d", code)
	}
}

// A module that never returns, and one whose records are too many, end after the time of a run.
func TestRunIsBounded(t *testing.T) {
	defer func(a, b time.Duration, c int) { maxRunTime, maxTimeout, maxViewBytes = a, b, c }(maxRunTime, maxTimeout, maxViewBytes)
	maxRunTime, maxTimeout, maxViewBytes = 300*time.Millisecond, 20*time.Millisecond, 20_000
	s := start(t, Config{Module: module(t, "infinite_loop")})
	r := s.run(t, strings.Repeat("{\"loop\":true}\n", maxRecords+1), "timeout", "0", "breaker_failures", "0")
	if r.Counts.Failed == 0 || r.Counts.Records >= maxRecords || !strings.Contains(strings.Join(r.Notes, " "), "stopped after 300ms") {
		t.Errorf("%+v, %q", r.Counts, r.Notes)
	}
	maxRunTime, maxTimeout = time.Minute, time.Second
	other := start(t, Config{Module: module(t, "identity")})
	r = other.run(t, strings.Repeat(`{"key":"`+strings.Repeat("x", 500)+"\"}\n", maxRecords+1))
	if r.Counts.Records != maxRecords || len(r.Records) > maxViewBytes/500 || len(r.Notes) != 2 {
		t.Errorf("%+v, %d shown, %q", r.Counts, len(r.Records), r.Notes)
	}
}

// The page hears when the module changes, and is served the newest one.
func TestReload(t *testing.T) {
	path := module(t, "identity")
	s := start(t, Config{Module: path})
	answer, err := http.Get("http://" + s.listener.Addr().String() + "/api/events?token=" + s.token)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatal(answer.Status, kind)
	}
	read := func(want string) {
		t.Helper()
		var got bytes.Buffer
		b := make([]byte, 1)
		for !strings.Contains(got.String(), want) {
			if _, err := answer.Body.Read(b); err != nil {
				t.Fatalf("%v after %q, and %q has not come", err, got.String(), want)
			}
			got.Write(b)
		}
	}
	read("event: received")
	if r := s.run(t, "{}"); r.Counts.Unchanged != 1 {
		t.Errorf("%+v", r.Counts)
	}
	if err := os.WriteFile(path, []byte(guests.WAT("drop")), 0o666); err != nil {
		t.Fatal(err)
	}
	read("event: module")
	if r := s.run(t, "{}"); r.Counts.Dropped != 1 {
		t.Errorf("%+v", r.Counts)
	}
}

func TestTiming(t *testing.T) {
	var list []time.Duration
	for i := range 100 {
		list = append(list, time.Duration(100-i)*time.Microsecond)
	}
	want := &timing{Mean: 50.5, Min: 1, Median: 50, P95: 95, Max: 100,
		Buckets: []bucket{{2, 1}, {5, 3}, {10, 5}, {20, 10}, {50, 30}, {100, 50}, {200, 1}}}
	if diff := cmp.Diff(want, timingOf(list)); diff != "" {
		t.Error(diff)
	}
}

package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// play serves a page until the test ends, and returns its URL.
func playPage(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, written := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- mainUntil(ctx, append([]string{"play"}, args...), strings.NewReader(""), written, &stderr)
		written.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if got := <-code; got != exitOK || stderr.Len() > 0 {
			t.Errorf("exit code %d, %s", got, stderr.String())
		}
	})
	b := make([]byte, 1)
	var url strings.Builder
	for !strings.HasSuffix(url.String(), "\n") {
		if _, err := read.Read(b); err != nil {
			t.Fatalf("%v after %q", err, url.String())
		}
		url.Write(b)
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	return strings.TrimSpace(url.String())
}

// The page begins with what arguments and flags say.
func TestPlay(t *testing.T) {
	module := writeFile(t, "guest.wat", guests.WAT("identity"))
	input := writeFile(t, "in.ndjson", `{"a":1}`)
	url := playPage(t, module, input, "--listen=0", "--set", "mode=strict", "--on-error=drop", "--tag=app.db", "--log-level=debug", "--quick")
	origin, token, ok := strings.Cut(url, "/#token=")
	if !ok || !strings.HasPrefix(origin, "http://127.0.0.1:") || len(token) < 20 {
		t.Fatalf("the URL is %q", url)
	}
	answer, err := http.Get(origin + "/api/state?token=" + token)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var state struct {
		Input, Tag, LogLevel string
		Quick                bool
		Options              []struct{ Key, Value string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&state); err != nil {
		t.Fatal(err)
	}
	if state.Input != "{\"a\":1}\n" || state.Tag != "app.db" || state.LogLevel != "debug" || !state.Quick || len(state.Options) != 2 ||
		state.Options[0].Key != "config.mode" || state.Options[0].Value != "strict" || state.Options[1].Key != "on_error" {
		t.Errorf("%+v", state)
	}
}

// With --config the page begins with a filter of the configuration: the first one, or the one that is named.
func TestPlayConfig(t *testing.T) {
	module := writeFile(t, "guest.wat", guests.WAT("identity"))
	config := writeFile(t, "fluent-bit.conf", `
[INPUT]
    Name dummy
    Tag  app.web

[FILTER]
    Name          wasmtime
    Match         *
    Log_Level     debug
    Wasm_Path     `+module+`
    Function_Name filter
    config.mode   strict
    on_error      drop

[FILTER]
    Name          wasm
    Match         *
    Alias         second
    wasm_path     `+module+`
    function_name other
`)
	for _, tt := range []struct {
		args             []string
		tag, level, said string
		options          []string
	}{
		{nil, "app.web", "debug", "filter wasmtime.0 is tried; --filter chooses another one: wasmtime.0, second",
			[]string{"function_name filter", "config.mode strict", "on_error drop"}},
		{[]string{"--filter=second", "--tag=app.db", "--log-level=off"}, "app.db", "off", "", []string{"function_name other"}},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		read, written := io.Pipe()
		var stderr bytes.Buffer
		done := make(chan int, 1)
		go func() {
			done <- mainUntil(ctx, append([]string{"play", "--config", config, "--listen=0"}, tt.args...), strings.NewReader(""), written, &stderr)
			written.Close()
		}()
		url, _ := bufio.NewReader(read).ReadString('\n')
		origin, token, _ := strings.Cut(strings.TrimSpace(url), "/#token=")
		var state struct {
			Tag, LogLevel string
			Options       []struct{ Key, Value string }
		}
		answer, err := http.Get(origin + "/api/state?token=" + token)
		if err != nil {
			t.Fatalf("%v: %s", err, &stderr)
		}
		err = json.NewDecoder(answer.Body).Decode(&state)
		answer.Body.Close()
		cancel()
		if code := <-done; err != nil || code != exitOK {
			t.Errorf("%q: exit code %d, %v", tt.args, code, err)
		}
		var options []string
		for _, o := range state.Options {
			options = append(options, o.Key+" "+o.Value)
		}
		if state.Tag != tt.tag || state.LogLevel != tt.level || !slices.Equal(options, tt.options) {
			t.Errorf("%q: %+v", tt.args, state)
		}
		if got := stderr.String(); !strings.Contains(got, tt.said) || tt.said == "" && got != "" {
			t.Errorf("%q: it says %q", tt.args, got)
		}
	}
	for want, args := range map[string][]string{
		"it has no filter third: there are wasmtime.0, second": {"--config", config, "--filter=third"},
		"--filter: it chooses a filter of a configuration":     {module, "--filter=second"},
		"--on-error: options of the filter come from the file": {"--config", config, "--on-error=drop"},
		"no.conf": {"--config", "no.conf"},
	} {
		ended, cancel := context.WithCancel(t.Context()) // so that what is not refused ends at once
		cancel()
		var stderr bytes.Buffer
		args = append([]string{"play", "--listen=0"}, args...)
		if code := mainUntil(ended, args, strings.NewReader(""), io.Discard, &stderr); code == exitOK || !strings.Contains(stderr.String(), want) {
			t.Errorf("%q: %d, %s", args, code, &stderr)
		}
	}
}

func TestPlayRefuses(t *testing.T) {
	module := writeFile(t, "guest.wat", guests.WAT("identity"))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "name a .wasm file"},
		{[]string{module, "--listen=0.0.0.0:0"}, "--listen: \"0.0.0.0:0\" is not an address of this machine alone"},
		{[]string{module, "--listen=" + taken.Addr().String()}, "address already in use"},
		{[]string{module, "--listen=0", "--forward=:24224"}, "--forward: \":24224\" is not an address of this machine alone"},
		{[]string{module, "--last=0"}, "--last: invalid value 0"},
		{[]string{module, "--log-level=loud"}, "--log-level: invalid log_level"},
		{[]string{module, "--on-error=explode"}, "option on_error"},
		{[]string{module, "nowhere.ndjson"}, "nowhere.ndjson"},
	} {
		got := runMain("", append([]string{"play"}, tt.args...)...)
		if got.code != exitUsage || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
			t.Errorf("%q: exit code %d, %q, %q", tt.args, got.code, got.stdout, got.stderr)
		}
	}
}

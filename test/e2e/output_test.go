package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/forwardserver"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// startOutput runs a configuration with both doors of the plugin, in which DIR is a
// directory of the test, PORT a free port, and WASM, WRAP and STAMP are guests.
func (fb fluentBit) startOutput(t *testing.T, conf string) *process {
	t.Helper()
	dir := t.TempDir()
	outPlugin, err := fluentbit.Plugin("out_wasmtime.so")
	if err != nil {
		t.Fatal(err)
	}
	conf = strings.NewReplacer("DIR", dir, "PORT", freePort(t), "WASM", guest(t, "identity"),
		"WRAP", guest(t, "wrap"), "STAMP", guest(t, "stamp")).Replace(conf)
	path := filepath.Join(dir, "fluent-bit.conf")
	writeFile(t, path, conf)
	writeFile(t, filepath.Join(dir, "parsers.conf"), parsersConf)
	return fb.exec(t, dir, "-e", pluginPath, "-e", outPlugin, "-c", path)
}

func fileEvents(t *testing.T, path string) []oracle.Event {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	events, _ := oracle.Unpack(b)
	return events
}

const outputService = `
[SERVICE]
    flush 0.2
    grace 2
    log_level info
    parsers_file DIR/parsers.conf
`

// Filter and output in one process; the output's results come back into the same
// Fluent Bit under another tag, with their metadata, and the records that other
// outputs get are as they were.
func TestOutputBackToTheHost(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		fb.needOption(t, "dummy", "metadata")
		p := fb.startOutput(t, outputService+`
[INPUT]
    name dummy
    tag app.web
    dummy {"a":1}
    metadata {"m":"v"}
    rate 50
    samples 20
[INPUT]
    name forward
    listen 127.0.0.1
    port PORT
[FILTER]
    name wasmtime
    match app.*
    wasm_path WASM
    function_name filter
[OUTPUT]
    name wasmtime
    match app.*
    wasm_path WRAP
    function_name filter
    emit_to forward://127.0.0.1:PORT
    emit_tag again.$TAG[1]
    workers 2
    retry_limit no_limits
[OUTPUT]
    name file
    match again.web
    path DIR
    file again
    format msgpack
[OUTPUT]
    name file
    match app.*
    path DIR
    file plain
    format msgpack
`)
		again, plain := filepath.Join(p.dir, "again"), filepath.Join(p.dir, "plain")
		p.until("20 records of each", func() bool {
			return len(fileEvents(t, again)) >= 20 && len(fileEvents(t, plain)) >= 20
		})
		p.stop()
		for i, e := range fileEvents(t, plain) {
			if body, _ := e.Body.(map[string]any); len(body) != 1 || body["a"] != oracle.Integer("1") {
				t.Errorf("record %d for the other output is %v", i, e.Body)
			}
		}
		events := fileEvents(t, again)
		if len(events) != 20 {
			t.Errorf("%d records came back", len(events))
		}
		for i, e := range events {
			body, _ := e.Body.(map[string]any)
			record, _ := body["record"].(map[string]any)
			if body["tag"] != "app.web" || record["a"] != oracle.Integer("1") {
				t.Errorf("record %d is %v", i, e.Body)
			}
			if !strings.Contains(e.Header, "\xa1m\xa1v") {
				t.Errorf("record %d has the header %q, without its metadata", i, e.Header)
			}
		}
		for _, part := range []string{"[filter:wasmtime:wasmtime.0]", "[output:wasmtime:wasmtime.0]"} {
			if p.logLine(part, "20 records: 20 returned") == "" {
				t.Errorf("no line of %s at the end", part)
			}
		}
	})
}

// TLS is Fluent Bit's own, and so is the check of the shared key.
func TestOutputToASecureForwardInput(t *testing.T) {
	certificates := t.TempDir()
	if _, _, err := forwardserver.Certificate(certificates, "far.example"); err != nil {
		t.Fatal(err)
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		fb.needOption(t, "forward", "shared_key")
		p := fb.startOutput(t, strings.ReplaceAll(outputService+`
[INPUT]
    name dummy
    tag app.web
    dummy {"a":1}
    rate 50
    samples 5
[INPUT]
    name forward
    listen 127.0.0.1
    port PORT
    shared_key s3cret
    self_hostname far.example
    tls on
    tls.crt_file CERTS/far.example.pem
    tls.key_file CERTS/far.example.key
[OUTPUT]
    name wasmtime
    match app.*
    wasm_path WASM
    function_name filter
    emit_to forward://127.0.0.1:PORT
    emit_tag again
    emit_shared_key s3cret
    emit_self_hostname near.example
    emit_compress gzip
    emit_tls on
    emit_tls_vhost far.example
    emit_tls_ca_file CERTS/far.example.pem
    workers 1
    retry_limit no_limits
[OUTPUT]
    name file
    match again
    path DIR
    file again
    format msgpack
`, "CERTS", certificates))
		again := filepath.Join(p.dir, "again")
		p.until("5 records", func() bool { return len(fileEvents(t, again)) >= 5 })
		if fb.endsWithSharedKey(t) {
			p.stop()
		}
		if n := len(fileEvents(t, again)); n != 5 {
			t.Errorf("%d records came back", n)
		}
	})
}

// endsWithSharedKey says whether an input forward with a shared key can be ended. 3.2.10 frees the key twice.
func (fb fluentBit) endsWithSharedKey(t *testing.T) bool {
	t.Helper()
	port := freePort(t)
	p := fb.exec(t, t.TempDir(), "-i", "forward", "-p", "listen=127.0.0.1", "-p", "port="+port, "-p", "shared_key=s3cret",
		"-p", "self_hostname=far.example", "-o", "null", "-m", "*")
	p.dial(port).Close()
	code, err := waiting.Stop(p.cmd, p.done)
	if err != nil {
		t.Fatal(err)
	}
	return code == 0
}

// On the engine's thread, too, nothing is lost, and a far side that hangs does not
// hold up another output.
func TestOutputWithoutWorkers(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		release := make(chan struct{})
		ledger := forwardserver.NewLedger(200)
		s, err := forwardserver.Listen(forwardserver.Config{Received: func(m forwardserver.Message) forwardserver.Verdict {
			<-release
			ledger.Take(m.Events)
			return forwardserver.Acknowledge
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Kill()
		in := linesFile(t, numbered(200)...)
		p := fb.startOutput(t, strings.Replace(outputService, "grace 2", "grace 10\n    scheduler.base 1\n    scheduler.cap 2", 1)+fmt.Sprintf(`
[INPUT]
    name tail
    path %s
    parser json
    tag app
    read_from_head true
[OUTPUT]
    name wasmtime
    match app
    wasm_path WASM
    function_name filter
    emit_to forward://%s
    retry_limit no_limits
[OUTPUT]
    name file
    match app
    path DIR
    file plain
    format msgpack
`, in, s.Address()))
		plain := filepath.Join(p.dir, "plain")
		p.until("the other output's records", func() bool { return len(fileEvents(t, plain)) == 200 })
		close(release)
		p.until("all records", func() bool { distinct, _, _, _ := ledger.Counts(); return distinct == 200 })
		p.stop()
		if _, again, changed, err := ledger.Counts(); again != 0 || changed != 0 || err != nil {
			t.Errorf("%d came twice, %d changed: %v", again, changed, err)
		}
	})
}

// Numbered records, several workers, and a far side that is killed again and again.
// SOAK_OUTPUT_RECORDS says how many records.
func TestOutputKilledServer(t *testing.T) {
	records := 20_000
	if v := os.Getenv("SOAK_OUTPUT_RECORDS"); v != "" {
		var err error
		if records, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		ledger := forwardserver.NewLedger(records)
		var messages, hangups atomic.Int64
		received := func(m forwardserver.Message) forwardserver.Verdict {
			ledger.Take(m.Events)
			switch n := messages.Add(1); {
			case n%20 == 7:
				hangups.Add(1)
				return forwardserver.Hangup
			case n%20 == 17: // later than flush_timeout: the retry finds it
				<-time.After(300 * time.Millisecond)
			}
			return forwardserver.Acknowledge
		}
		listen := func(address string) *forwardserver.Server {
			s, err := forwardserver.Listen(forwardserver.Config{Address: address, Received: received})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		server := listen("")
		lines := numbered(records)
		portion := len(lines) / 40
		in := linesFile(t, lines[:portion]...)
		p := fb.startOutput(t, strings.Replace(outputService, "grace 2", "grace 10\n    scheduler.base 1\n    scheduler.cap 2", 1)+fmt.Sprintf(`
[INPUT]
    name tail
    path %s
    parser json
    tag app
    read_from_head true
    mem_buf_limit 200M
    refresh_interval 1
[OUTPUT]
    name wasmtime
    match app
    wasm_path STAMP
    function_name filter
    emit_to forward://%s
    emit_timeout 5s
    flush_timeout 200ms
    workers 4
    retry_limit no_limits
`, in, server.Address()))
		// Lines are written as they come out, so that there are many chunks, and the
		// far side is killed while some are under way.
		file, err := os.OpenFile(in, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		kills := 3
		if records > 20_000 {
			kills = 10
		}
		killed, written := 0, portion
		feed := func(distinct int) {
			for ; written < records && written < distinct+4*portion; written += portion {
				if _, err := file.WriteString(strings.Join(lines[written:min(written+portion, records)], "\n") + "\n"); err != nil {
					t.Fatal(err)
				}
			}
		}
		for distinct := 0; distinct < records; {
			last := distinct
			p.until("more records", func() bool { distinct, _, _, _ = ledger.Counts(); return distinct > last })
			if killed < kills && distinct > records*killed/(kills+1) {
				server.Kill()
				retries := strings.Count(p.log.String(), "failed to flush chunk")
				feed(distinct)
				p.until("a retry", func() bool { return strings.Count(p.log.String(), "failed to flush chunk") > retries })
				server = listen(server.Address())
				killed++
			}
			feed(distinct)
		}
		p.stop()
		server.Kill()
		distinct, again, changed, err := ledger.Counts()
		if distinct != records || changed != 0 || err != nil {
			t.Errorf("%d of %d records came, %d changed: %v", distinct, records, changed, err)
		}
		fmt.Printf("soak: output in Fluent Bit %s: %d records: all came, %d of them again, %d with other bytes; far side killed %d times, %d hang-ups\n",
			fb.version, distinct, again, changed, killed, hangups.Load())
	})
}

// What is wrong with the options keeps Fluent Bit from starting, with a reason.
func TestOutputOptions(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		outPlugin, err := fluentbit.Plugin("out_wasmtime.so")
		if err != nil {
			t.Fatal(err)
		}
		wasm := guest(t, "identity")
		run := func(args ...string) *process {
			p := fb.exec(t, t.TempDir(), append([]string{"-e", outPlugin}, args...)...)
			p.wait()
			return p
		}
		good := []string{"-i", "dummy", "-o", "wasmtime", "-p", "wasm_path=" + wasm, "-p", "function_name=filter"}
		if p := run(good...); p.logLine("[output:wasmtime:wasmtime.0]", "option emit_to is not set", "forward://HOST:PORT") == "" {
			t.Error("no reason why emit_to is needed")
		}
		if p := run(append(good, "-p", "emit_to=stdout", "-p", "emit_timeout=soon")...); p.logLine("emit_timeout", `"soon"`) == "" {
			t.Error("no reason why emit_timeout is refused")
		}
		// Go plugins have a config map in 5.1.1 and later.
		help := run("-o", "wasmtime", "-h")
		if help.logLine("emit_tag") == "" {
			t.Log("this Fluent Bit takes no option table from a Go plugin")
			return
		}
		if p := run(append(good, "-p", "emit_to=stdout", "-p", "emit_tagg=x")...); p.logLine("unknown configuration property 'emit_tagg'") == "" {
			t.Error("an unknown option was not refused")
		}
	})
}

package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A guest folds records into one for each tick, and holds what it has in its memory only: over reloads of
// Fluent Bit, and other versions of the module that take over, what comes out adds up to what went in.
func TestFolds(t *testing.T) {
	if len(fluentBits) == 0 {
		t.Skip("*** FOLDS NOT TESTED: no Fluent Bit; set FLUENT_BIT, or have fluent-bit on PATH ***")
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.reloads {
			t.Skip("this Fluent Bit has no way to emit")
		}
		for _, workers := range []string{"1", "2"} {
			t.Run(workers+" workers", func(t *testing.T) { folds(t, fb, workers) })
		}
	})
}

func folds(t *testing.T, fb fluentBit, workers string) {
	dir := t.TempDir()
	in, err := os.Create(filepath.Join(dir, "in.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	text, err := ownGuests.ReadFile("testdata/fold.wat")
	if err != nil {
		t.Fatal(err)
	}
	version := func(n int) string { return strings.Replace(string(text), "version A", "version "+swapVersion(n), 1) }
	module := filepath.Join(dir, "fold.wat")
	replaceFile(t, module, version(0))
	writeFile(t, filepath.Join(dir, "parsers.conf"), "[PARSER]\n    name json\n    format json\n")
	p := fb.start(t, dir, section("SERVICE", "flush", "0.2", "grace", "20", "log_level", "info",
		"parsers_file", filepath.Join(dir, "parsers.conf"))+
		section("INPUT", "name", "tail", "tag", "told", "path", in.Name(), "parser", "json",
			"db", filepath.Join(dir, "in.db"), "read_from_head", "true", "refresh_interval", "1",
			"buffer_chunk_size", "2M", "buffer_max_size", "2M")+
		section("FILTER", "name", "wasmtime", "match", "told", "wasm_path", module, "function_name", "filter", "workers", workers,
			"emit_tags", "folded", "tick_interval", "200ms", "reload_module", "on", "reload_interval", "20ms")+
		section("OUTPUT", "name", "file", "match", "folded", "path", dir, "file", "folded.out", "format", "plain"),
		"-e", pluginPath, "-Y")
	out := filepath.Join(dir, "folded.out")
	p.until("something has come out", func() bool {
		if _, err := in.WriteString("{\"n\":0}\n"); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(out)
		return err == nil && info.Size() > 0
	})

	info, err := in.Stat()
	if err != nil {
		t.Fatal(err)
	}
	sent, sum := uint64(info.Size())/8, uint64(0)
	swaps, reloads := 0, 0
	// Each second one is a reload of Fluent Bit, the others are other versions of the module.
	changes := max(4, 2*soakReloads)
	end := time.Now().Add(soakTime)
	change := time.Now().Add(soakTime / time.Duration(changes+1))
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	seen := p.starts()
	for time.Now().Before(end) {
		var b bytes.Buffer
		for range 40 {
			fmt.Fprintf(&b, "{\"n\":%d}\n", sent)
			sum += sent
			sent++
		}
		if _, err := in.Write(b.Bytes()); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(change) {
			change = time.Now().Add(soakTime / time.Duration(changes+1))
			if (swaps+reloads)%2 == 0 {
				swaps++
				replaceFile(t, module, version(swaps))
			} else if p.starts() == seen+reloads {
				reloads++
				p.signal(syscall.SIGHUP)
			}
		}
		if p.ended() {
			t.Fatalf("Fluent Bit ended: %v", p.cmd.ProcessState)
		}
		<-tick.C
	}
	took := p.swapped()
	p.until("the last record has come out", func() bool { // which is so before the end, since ticks come
		records, _, _ := folded(t, out)
		return records == sent
	})
	// A last one, which the end has to hand over.
	for range 1000 {
		if _, err := fmt.Fprintf(in, "{\"n\":%d}\n", sent); err != nil {
			t.Fatal(err)
		}
		sum += sent
		sent++
	}
	p.until("tail has read all", func() bool { return p.hasRead(in) })
	p.stop()
	records, total, rows := folded(t, out)
	figures("Fluent Bit %s, %s workers, %v: %d records in, %d reloads, %d of %d swaps: %d rows out, of %d records; sums %d and %d",
		fb.version, workers, soakTime, sent, reloads, took, swaps, rows, records, sum, total)
	if records != sent || total != sum {
		t.Errorf("%d records with the sum %d went in, %d with %d have come out", sent, sum, records, total)
	}
	if took == 0 || reloads == 0 {
		t.Errorf("%d swaps, %d reloads", took, reloads)
	}
}

// folded adds up what has come out.
func folded(t *testing.T, path string) (records, sum uint64, rows int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var row struct{ Records, Sum uint64 }
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		records += row.Records
		sum += row.Sum
		rows++
	}
	return records, sum, rows
}

// hasRead says whether the process has a file open, and has read all of it.
func (p *process) hasRead(f *os.File) bool {
	p.t.Helper()
	dir := filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid))
	list, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		p.t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range list {
		if to, err := os.Readlink(filepath.Join(dir, "fd", e.Name())); err != nil || to != f.Name() {
			continue
		}
		at, err := os.ReadFile(filepath.Join(dir, "fdinfo", e.Name()))
		return err == nil && strings.HasPrefix(string(at), fmt.Sprintf("pos:\t%d\n", info.Size()))
	}
	return false
}

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// metricsConf is a pipeline whose metrics can be had from the HTTP server, and are in the log besides,
// each second, for Fluent Bits whose server does not have them.
const metricsConf = `[SERVICE]
    flush 0.2
    grace 2
    http_server on
    http_listen 127.0.0.1
    http_port PORT
    hot_reload on
    parsers_file DIR/parsers.conf
[INPUT]
    name tail
    tag app
    path DIR/in.log
    parser json
    read_from_head on
[INPUT]
    name fluentbit_metrics
    tag metrics
    scrape_interval 1
FILTERS
[OUTPUT]
    name file
    match app
    path DIR
    file out.json
[OUTPUT]
    name stdout
    match metrics
`

// A metered is a Fluent Bit that tells its metrics.
type metered struct {
	*process
	port    string
	reloads bool
}

// configure writes the configuration with these filters, and the lines that go in.
func (m *metered) configure(filters, lines string) {
	m.t.Helper()
	conf := strings.NewReplacer("PORT", m.port, "DIR", m.dir, "FILTERS", filters).Replace(metricsConf)
	if !m.reloads {
		conf = strings.Replace(conf, "    hot_reload on\n", "", 1)
	}
	writeFile(m.t, filepath.Join(m.dir, "fluent-bit.conf"), conf)
	writeFile(m.t, filepath.Join(m.dir, "in.log"), lines)
}

func (fb fluentBit) metered(t *testing.T, filters, lines string) *metered {
	t.Helper()
	m := &metered{process: &process{t: t, dir: t.TempDir()}, port: freePort(t), reloads: strings.Contains(fb.help, "hot-reload")}
	writeFile(t, filepath.Join(m.dir, "parsers.conf"), parsersConf)
	m.configure(filters, lines)
	m.process = fb.exec(t, m.dir, "-e", pluginPath, "-c", filepath.Join(m.dir, "fluent-bit.conf"))
	return m
}

// wasmtimeFilter is a [FILTER] of the plugin.
func wasmtimeFilter(alias, wasm string, more ...string) string {
	text := fmt.Sprintf("[FILTER]\n    name wasmtime\n    match app\n    alias %s\n    wasm_path %s\n    function_name filter\n", alias, wasm)
	for i := 0; i < len(more); i += 2 {
		text += fmt.Sprintf("    %s %s\n", more[i], more[i+1])
	}
	return text
}

// Samples of the text format (https://prometheus.io/docs/instrumenting/exposition_formats/), and as
// the output stdout shows them.
var (
	promSample = regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? ([^ \n]+)$`)
	logSample  = regexp.MustCompile(`(?m)^\d{4}-\S+Z ([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? = (\S+)$`)
)

// A server that ends for a reload may leave a connection without an answer.
var client = http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// samples are the metrics that Fluent Bit tells now, or none. What they are taken from is http or log.
func (m *metered) samples() (all map[string]float64, from string) {
	from = "http"
	text, found := "", promSample
	if response, err := client.Get("http://127.0.0.1:" + m.port + "/api/v2/metrics/prometheus"); err == nil {
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		switch {
		case err == nil && response.Header.Get("Content-Type") == "application/json": // there is no such page
			text, found, from = m.log.String(), logSample, "log"
		case err == nil && response.StatusCode == http.StatusOK:
			text = string(body)
		}
	}
	all = map[string]float64{}
	for _, s := range found.FindAllStringSubmatch(text, -1) {
		if v, err := strconv.ParseFloat(s[3], 64); err == nil {
			if _, there := all[s[1]+s[2]]; there && from == "http" {
				m.t.Errorf("%s%s is there twice", s[1], s[2])
			}
			all[s[1]+s[2]] = v
		}
	}
	return all, from
}

// untilMetrics waits until these are there with their values.
func (m *metered) untilMetrics(want map[string]float64) {
	m.t.Helper()
	got := map[string]float64{}
	end := time.Now().Add(deadline)
	m.until(fmt.Sprintf("the metrics %v", want), func() bool {
		all, from := m.samples()
		clear(got)
		for name, value := range want {
			if v, ok := all[name]; ok {
				got[name] = v
			}
			if from == "log" && strings.Contains(name, `\`) { // which is not escaped there
				got[name] = value
			}
		}
		if cmp.Equal(want, got) {
			return true
		}
		if time.Now().After(end.Add(-time.Second)) {
			m.t.Fatalf("(-want +got):\n%s", cmp.Diff(want, got))
		}
		return false
	})
}

// The metrics of a guest that fails on a third of its records are exact, next to those of another
// filter, and the guest's own.
func TestMetrics(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		const n = 300
		m := fb.metered(t, wasmtimeFilter("third", guest(t, "trap_every_third"))+
			wasmtimeFilter("kinds", guest(t, "metrics_of_each_kind"), "store_limit", "1M")+
			wasmtimeFilter("dropper", guest(t, "drop")),
			strings.Join(numbered(n), "\n")+"\n")
		const own = "fluentbit_wasmtime_"
		m.untilMetrics(map[string]float64{
			own + `records_total{name="third",outcome="returned"}`:                                200,
			own + `records_total{name="third",outcome="failed"}`:                                  100,
			own + `records_total{name="third",outcome="dropped"}`:                                 0,
			own + `failed_records_total{name="third",cause="trap"}`:                               100,
			own + `failed_records_total{name="third",cause="timeout"}`:                            0,
			own + `instances_given_up_total{name="third",reason="trap"}`:                          100,
			own + `calls_total{name="third"}`:                                                     300,
			own + `call_seconds_bucket{name="third",le="+Inf"}`:                                   5,
			own + `call_seconds_count{name="third"}`:                                              5,
			own + `breakers{name="third",state="closed"}`:                                         1,
			own + `module_loaded{name="third"}`:                                                   1,
			own + `records_total{name="dropper",outcome="dropped"}`:                               300,
			own + `records_total{name="kinds",outcome="returned"}`:                                300,
			own + `instances{name="kinds"}`:                                                       1,
			own + `memory_bytes{name="dropper"}`:                                                  17 * 65536,
			own + `store_limit_bytes{name="kinds"}`:                                               1e6,
			own + `guest_pairs_total{name="kinds",exported_exported_name="ab",exported_name="c"}`: 300,
			own + `guest_texts_total{name="kinds",text="\"\\\n` + "\uFFFDé\uFFFD" + `}"}`:         75,
			own + `guest_level{name="kinds"}`:                                                     -2.5,
			own + `guest_waits_bucket{name="kinds",le="2.5"}`:                                     0,
			own + `guest_waits_bucket{name="kinds",le="+Inf"}`:                                    300,
			own + `guest_waits_sum{name="kinds"}`:                                                 2100,
			own + `guest_sizes_count{name="kinds",text="{\"n\":7}"}`:                              1,
			own + `series{name="kinds"}`:                                                          n + 5,
		})
		all, from := m.samples()
		hist := 0
		for name := range all {
			if strings.HasPrefix(name, own+"guest_sizes_count") {
				hist++
			}
		}
		if hidden := all[own+`series_hidden{name="kinds"}`]; hist < 100 || int(hidden) != n-hist+1 {
			t.Errorf("%d histograms, and %v series are hidden", hist, hidden)
		}
		t.Logf("from the %s", from)
		m.stop()
	})
}

// After each of five reloads the metrics are those of the filter that runs then, and of no other.
func TestMetricsAfterReloads(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !strings.Contains(fb.help, "hot-reload") {
			t.Skip("this Fluent Bit has no hot reload")
		}
		filters := func(n int) string {
			return wasmtimeFilter(fmt.Sprint("a", n), guest(t, "trap_every_third")) +
				wasmtimeFilter(fmt.Sprint("b", n), guest(t, "counts_in_store"), "store_limit", "1M", "workers", "2")
		}
		m := fb.metered(t, filters(0), strings.Join(numbered(30), "\n")+"\n")
		for n := range 6 {
			m.untilMetrics(map[string]float64{
				fmt.Sprintf(`fluentbit_wasmtime_records_total{name="a%d",outcome="failed"}`, n):   10,
				fmt.Sprintf(`fluentbit_wasmtime_records_total{name="a%d",outcome="returned"}`, n): 20,
				fmt.Sprintf(`fluentbit_wasmtime_instances{name="b%d"}`, n):                        2,
				fmt.Sprintf(`fluentbit_wasmtime_guest_seen_total{name="b%d",digit="7"}`, n):       3,
			})
			all, _ := m.samples()
			for name := range all {
				if strings.Contains(name, "wasmtime") && !strings.Contains(name, fmt.Sprintf(`="a%d"`, n)) && !strings.Contains(name, fmt.Sprintf(`="b%d"`, n)) {
					t.Errorf("reload %d: %s", n, name)
				}
			}
			if n == 5 {
				break
			}
			m.configure(filters(n+1), strings.Join(numbered(30), "\n")+"\n")
			m.reload()
		}
		m.stop()
	})
}

// reload has the configuration be read again. A signal that comes before Fluent Bit has noted the end
// of the last reload is refused.
func (m *metered) reload() {
	m.t.Helper()
	refused := strings.Count(m.log.String(), "reloading in progress")
	ended := strings.Count(m.log.String(), "stopping the engine")
	m.cmd.Process.Signal(syscall.SIGHUP)
	m.until("a reload", func() bool {
		log := m.log.String()
		if n := strings.Count(log, "reloading in progress"); n > refused {
			refused = n
			m.cmd.Process.Signal(syscall.SIGHUP)
		}
		return strings.Count(log, "stopping the engine") > ended || strings.Count(log, "start everything") > ended
	})
}

// The metrics of a filter within a processor are where Fluent Bit shows its own of that filter. Where
// it does not start on the engine's thread, the log says so, and has the periodic line.
func TestMetricsOfProcessor(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		needYAML(t, fb)
		for _, threaded := range []bool{false, true} {
			t.Run(fmt.Sprintf("threaded_%v", threaded), func(t *testing.T) {
				if threaded {
					fb.needOption(t, "tail", "threaded")
				}
				m := &metered{process: &process{t: t, dir: t.TempDir()}, port: freePort(t)}
				writeFile(t, filepath.Join(m.dir, "parsers.conf"), parsersConf)
				writeFile(t, filepath.Join(m.dir, "in.log"), strings.Join(numbered(30), "\n")+"\n")
				conf := strings.NewReplacer("PORT", m.port, "DIR", m.dir, "WASM", guest(t, "trap_every_third"), "THREADED", fmt.Sprint(threaded)).Replace(processorConf)
				path := filepath.Join(m.dir, "fluent-bit.yaml")
				writeFile(t, path, conf)
				m.process = fb.exec(t, m.dir, "-e", pluginPath, "-c", path)
				m.until("what a processor has made", func() bool {
					b, _ := os.ReadFile(filepath.Join(m.dir, "out.json"))
					return strings.Count(string(b), "\n") >= 30
				})
				var all map[string]float64
				m.until("some seconds of metrics", func() bool {
					all, _ = m.samples()
					for name, v := range all {
						if strings.HasPrefix(name, "fluentbit_uptime{") && v >= 5 {
							return true
						}
					}
					return false
				})
				refused := m.logLine("metrics are not in the endpoint of this Fluent Bit: this instance does not start on the engine's thread") != ""
				shown := false
				for name := range all {
					shown = shown || strings.HasPrefix(name, "fluentbit_filter_") && strings.Contains(name, `name="within"`)
				}
				t.Logf("refused %v, shown by Fluent Bit %v", refused, shown)
				failed, there := all[`fluentbit_wasmtime_records_total{name="within",outcome="failed"}`]
				switch {
				case refused && (there || !threaded):
					t.Error("refused, and there, or not threaded")
				case shown && !refused && failed != 10:
					t.Errorf("%v records failed", failed)
				case !shown && there:
					t.Error("shown of a filter that Fluent Bit does not show")
				}
				m.stop()
			})
		}
	})
}

const processorConf = `service:
  flush: 0.2
  grace: 2
  http_server: on
  http_listen: 127.0.0.1
  http_port: PORT
  parsers_file: DIR/parsers.conf
pipeline:
  inputs:
    - name: tail
      tag: app
      path: DIR/in.log
      parser: json
      read_from_head: on
      threaded: THREADED
      processors:
        logs:
          - name: wasmtime
            alias: within
            wasm_path: WASM
            function_name: filter
  outputs:
    - name: file
      match: app
      path: DIR
      file: out.json
`

// The log has the counts of a filter and of an output once in stats_interval.
func TestStatsInterval(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		dir := t.TempDir()
		wasm := guest(t, "trap_every_third")
		conf := filepath.Join(dir, "fluent-bit.conf")
		writeFile(t, conf, fmt.Sprintf(`[SERVICE]
    flush 0.2
    grace 1
[INPUT]
    name dummy
    tag app
    rate 100
[FILTER]
    name wasmtime
    match app
    wasm_path %[1]s
    function_name filter
    stats_interval 500ms
[OUTPUT]
    name wasmtime
    match app
    wasm_path %[1]s
    function_name filter
    emit_to file://%[2]s/out.json
    stats_interval 500ms
    stats_format json
`, wasm, dir))
		p := fb.exec(t, dir, "-e", pluginPath, "-e", filepath.Join(filepath.Dir(pluginPath), "out_wasmtime.so"), "-c", conf)
		p.until("lines of the filter and the output", func() bool {
			return p.logLine("[ info] [filter:wasmtime:wasmtime.0] stats: ", " records: ", " failed (", ": the guest trapped") != "" &&
				p.logLine("[ info] [output:wasmtime:wasmtime.0] {\"records_total\":{\"returned\":", "\"failed_records_total\":{\"trap\":") != "" &&
				p.logLine("[ info] [output:wasmtime:wasmtime.0] {\"output\":{\"chunks_total\":") != ""
		})
		p.stop()
	})
}

package grafana

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shorter is by what the times of the rules are divided, so that nobody has to wait for an hour.
const shorter = 15

// longestFor is what an alert is waited for at most.
const longestFor = 5 * time.Second

// rateInterval is what the queries of the dashboard look back.
const rateInterval = "20s"

// patience is for what takes a while: Prometheus looks each second, at what Fluent Bit shows every few.
const patience = 2 * time.Minute

// buffer is what a process has written.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start runs a program until the test ends, or stop is called.
func start(t *testing.T, dir, program string, args ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s: %v", program, err)
			}
		case <-time.After(patience):
			t.Errorf("%s does not end", program)
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			text := out.String()
			t.Logf("%s:\n%s", program, text[max(0, len(text)-4000):])
		}
	})
	t.Cleanup(stop)
	return stop
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// A machine is a Fluent Bit with filters of all kinds.
type machine struct {
	dir, port string
	stop      func()
}

// A filterOf is a filter of a machine, with an input of its own.
type filterOf struct {
	name    string
	input   []string // options, in pairs
	options []string
}

func versionOf(t *testing.T, fluentBit string) string {
	t.Helper()
	out, err := exec.Command(fluentBit, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`v\d[.\d]*`).FindString(string(out))
}

// hasProcessors says whether a Fluent Bit that has /api/v2 has native processors, which came with 3.0.
func hasProcessors(t *testing.T, fluentBit string) bool {
	return !strings.HasPrefix(versionOf(t, fluentBit), "v2.")
}

// machineWith starts a Fluent Bit. What differs in module is the guest of the filter differs.
func machineWith(t *testing.T, fluentBit, differs string) machine {
	t.Helper()
	processors := hasProcessors(t, fluentBit)
	m := machine{dir: t.TempDir(), port: freePort(t)}
	write := func(name, text string) string {
		path := filepath.Join(m.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	guest := func(name string) string {
		path, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	ofTests := func(name string) string { return guest(root + "/test/guests/" + name) }
	// What goes under such a tag is for an output whose far side there is not.
	stuck := func(name string) []string {
		return []string{"wasm_path", ofTests("route.wat"), "config.to", "stuck." + name, "emit_tags", "stuck.*", "emitter_mem_buf_limit", "100k"}
	}
	long := []string{"dummy", fmt.Sprintf(`{"n":1,"text":%q}`, strings.Repeat("x", 1000)), "rate", "50"}
	filters := []filterOf{
		{"good", nil, []string{"wasm_path", ofTests("identity.wat"), "table.users", write("users.csv", "user,name\nbob,Bob\n")}},
		{"third", nil, []string{"wasm_path", ofTests("trap_every_third.wat")}},
		{"hangs", []string{"dummy", `{"loop":true}`}, []string{"wasm_path", ofTests("infinite_loop.wat"), "timeout", "10ms"}},
		// An instance that is replaced before it has had 1,000 records may have more memory.
		{"leaks", []string{"rate", "1000"}, []string{"wasm_path", ofTests("grow.wat"), "recycle_memory", "70M"}},
		{"counts", nil, []string{"wasm_path", guest("testdata/counts.wat"), "store_limit", "4k"}},
		{"differs", nil, []string{"wasm_path", ofTests(differs)}},
		{"broken", nil, []string{"wasm_path", write("broken.wasm", "nothing"), "on_start_error", "passthrough"}},
		{"holds", long, append(stuck("holds"), "emit_on_busy", "block 1h")},
		{"drops", long, append(stuck("drops"), "emit_on_busy", "drop")},
		{"keeps", long, stuck("keeps")},
		{"loops", nil, []string{"wasm_path", ofTests("route.wat"), "config.to", "loops", "emit_tags", "loops"}},
		{"folds", []string{"rate", "1"}, []string{"wasm_path", ofTests("folds.wat"), "emit_tags", "counts"}},
		{"forgets", nil, []string{"wasm_path", ofTests("folds.wat"), "emit_tags", "counts"}}, // traps after ten records
		{"swapped", nil, []string{"wasm_path", write("swapped.wat", string(read(t, ofTests("identity.wat")))), "reload_module", "on", "reload_interval", "100ms"}},
	}
	var inputs, sections strings.Builder
	options := func(to *strings.Builder, list ...string) {
		before := "    - "
		for i := 0; i < len(list); i += 2 {
			fmt.Fprintf(to, "%s%s: %q\n", before, list[i], list[i+1])
			before = "      "
		}
	}
	sections.WriteString("  filters:\n")
	for _, f := range filters {
		if !slices.Contains(f.input, "rate") {
			f.input = append(f.input, "rate", "20")
		}
		options(&inputs, append([]string{"name", "dummy", "tag", f.name}, f.input...)...)
		options(&sections, append([]string{"name", "wasmtime", "alias", f.name, "match", f.name, "function_name", "filter"}, f.options...)...)
	}
	if processors {
		options(&inputs, "name", "fluentbit_metrics", "tag", "metrics", "scrape_interval", "1")
		fmt.Fprintf(&inputs, "      processors:\n        metrics:\n          - name: wasmtime\n            alias: payloads\n            wasm_path: %q\n            config.do: error\n", ofTests("otlp.wat"))
	}
	sections.WriteString("  outputs:\n")
	options(&sections, "name", "null", "match_regex", "^(?!stuck)")
	options(&sections, "name", "forward", "match", "stuck.*", "host", "127.0.0.1", "port", freePort(t), "retry_limit", "no_limits")
	conf := fmt.Sprintf("service:\n  flush: 1\n  grace: 1\n  http_server: on\n  http_listen: 127.0.0.1\n  http_port: %s\npipeline:\n  inputs:\n%s%s",
		m.port, inputs.String(), sections.String())
	plugin := guest(root + "/build/flb-filter_wasmtime.so")
	if _, err := os.Stat(plugin); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	args := []string{"-e", plugin, "-c", write("fluent-bit.yaml", conf)}
	if processors {
		args = append(args, "-e", guest(root+"/build/flb-processor_wasmtime.so"))
	}
	m.stop = start(t, m.dir, guest(fluentBit), args...)
	return m
}

// swap puts a text in the place of the module of the filter swapped, as a whole.
func (m machine) swap(t *testing.T, text []byte) {
	t.Helper()
	next := filepath.Join(m.dir, "next.wat")
	if err := os.WriteFile(next, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(m.dir, "swapped.wat")); err != nil {
		t.Fatal(err)
	}
}

// duration finds a time of a rule.
var duration = regexp.MustCompile(`\b(\d+)([smh])\b`)

// hurried is a rule with times that a test can wait for.
func hurried(text string) string {
	return duration.ReplaceAllStringFunc(text, func(s string) string {
		d, err := time.ParseDuration(s)
		if err != nil {
			panic(err)
		}
		return fmt.Sprintf("%ds", max(d/shorter, 4*time.Second)/time.Second)
	})
}

// A prometheus scrapes machines.
type prometheus struct {
	t   *testing.T
	url string
}

// scraping starts a Prometheus that looks at machines each second, with the rules in deploy/grafana.
func scraping(t *testing.T, machines map[string]machine) prometheus {
	t.Helper()
	dir := t.TempDir()
	text := regexp.MustCompile(`(?m)^( *(?:expr|for): .*|  +(?:sum|/).*)$`).ReplaceAllStringFunc(string(read(t, alertsPath)), func(line string) string {
		line = hurried(line)
		if strings.Contains(line, "for: ") {
			line = duration.ReplaceAllString(line, fmt.Sprintf("%ds", longestFor/time.Second))
		}
		return line
	})
	var config strings.Builder
	config.WriteString("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yaml]\nscrape_configs:\n" +
		"  - job_name: fluent-bit\n    metrics_path: /api/v2/metrics/prometheus\n    static_configs:\n")
	for name, m := range machines {
		fmt.Fprintf(&config, "      - targets: ['127.0.0.1:%s']\n        labels: {instance: %s}\n", m.port, name)
	}
	for name, text := range map[string]string{"alerts.yaml": text, "prometheus.yaml": config.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program, err := filepath.Abs(tool(t, "prometheus"))
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	start(t, dir, program, "--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:"+port)
	p := prometheus{t, "http://127.0.0.1:" + port}
	p.until("Prometheus answers", func() bool {
		answer, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return p
}

func (p prometheus) until(what string, condition func() bool) {
	p.t.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); !condition(); <-ticker.C {
		if time.Now().After(end) {
			p.t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// get asks the API and decodes the data of its answer.
func (p prometheus) get(path string, parameters url.Values, into any) error {
	answer, err := http.Get(p.url + "/api/v1/" + path + "?" + parameters.Encode())
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var body struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return err
	}
	if body.Status != "success" {
		return fmt.Errorf("%s: %s", path, body.Error)
	}
	return json.Unmarshal(body.Data, into)
}

// series returns how many series a query has, leaving out values that are not numbers.
func (p prometheus) series(expr string) (int, error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := p.get("query", url.Values{"query": {expr}}, &data); err != nil {
		return 0, err
	}
	n := 0
	for _, r := range data.Result {
		if r.Value[1] != "NaN" {
			n++
		}
	}
	return n, nil
}

// firing are the alerts that fire, as NAME of FILTER.
func (p prometheus) firing() map[string]bool {
	var data struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	if err := p.get("alerts", nil, &data); err != nil {
		p.t.Fatal(err)
	}
	found := map[string]bool{}
	for _, a := range data.Alerts {
		if a.State == "firing" {
			found[a.Labels["alertname"]+" of "+a.Labels["name"]] = true
		}
	}
	return found
}

// fire are the alerts that have to fire for the filters of machineWith.
var fire = []string{
	"WasmtimeRecordsFail of third", "WasmtimeRecordsFail of hangs", "WasmtimeRecordsFail of counts",
	"WasmtimeBreakerOpen of hangs", "WasmtimeInstancesGivenUp of third",
	"WasmtimeRecycledOften of leaks", "WasmtimeStoreRefuses of counts", "WasmtimeMetricsIncomplete of counts",
	"WasmtimeVersionsDiffer of differs", "WasmtimeModuleNotLoaded of broken", "WasmtimeRecordsFail of broken",
	"WasmtimeReloadFailed of swapped",
	"WasmtimeEmitterBusy of holds", "WasmtimeEmittedDropped of drops", "WasmtimeEmittedKept of keeps",
	"WasmtimeEmitLoops of loops", "WasmtimeTicksFail of forgets", "WasmtimeInstancesGivenUp of forgets",
}

// ofProcessors are those of their processor.
var ofProcessors = []string{"WasmtimePayloadsFail of payloads"}

// may are those that may fire, too, which depends on how long it takes until all others do.
var may = []string{"WasmtimeInstancesGivenUp of hangs"}

// seldom are the alerts that are not waited for: a real Fluent Bit gives no chunk that can't be read, and one chunk
// in 64 is timed.
var seldom = []string{"WasmtimeChunksUnreadable", "WasmtimeSlow"}

// A real Prometheus that scrapes real Fluent Bits: the rules fire for the filters that they are for and for no others,
// and each query of the dashboard returns series.
func TestPrometheus(t *testing.T) {
	tool(t, "prometheus")
	var binaries []string
	for path := range strings.SplitSeq(os.Getenv("FLUENT_BIT"), ":") {
		if path != "" {
			binaries = append(binaries, path)
		}
	}
	if len(binaries) == 0 {
		t.Skip("NOT TESTED: alerts and queries of deploy/grafana in a real Prometheus, for want of a Fluent Bit: set FLUENT_BIT")
	}
	for _, binary := range binaries {
		version := versionOf(t, binary)
		t.Run(version, func(t *testing.T) {
			if strings.HasPrefix(version, "v1.") {
				t.Skip("this Fluent Bit has no /api/v2")
			}
			testPrometheus(t, binary)
		})
	}
}

func testPrometheus(t *testing.T, fluentBit string) {
	machines := map[string]machine{"a": machineWith(t, fluentBit, "identity.wat"), "b": machineWith(t, fluentBit, "wrap.wat")}
	processors, fire := hasProcessors(t, fluentBit), fire
	if processors {
		fire = slices.Concat(fire, ofProcessors)
	}
	p := scraping(t, machines)
	p.until("Prometheus has seen the first version", func() bool {
		n, err := p.series(prefix + `reloads_total{name="swapped",result="failure"} == 0`)
		return err == nil && n == len(machines)
	})
	machines["a"].swap(t, []byte("(module"))

	missing := func() (missing []string) {
		firing := p.firing()
		for _, name := range fire {
			if !firing[name] {
				missing = append(missing, name)
			}
		}
		return missing
	}
	defer func() {
		if t.Failed() {
			t.Logf("not firing: %v", missing())
		}
	}()
	p.until("all alerts fire", func() bool { return len(missing()) == 0 })
	for name := range p.firing() {
		if !slices.Contains(fire, name) && !slices.Contains(may, name) && !strings.HasPrefix(name, "WasmtimeSlow ") {
			t.Errorf("%s fires", name)
		}
	}
	waitedFor := func(alert string) bool {
		return slices.ContainsFunc(slices.Concat(fire, ofProcessors), func(name string) bool { return strings.HasPrefix(name, alert+" ") })
	}
	for _, a := range alerts(t) {
		if !waitedFor(a.Alert) && !slices.Contains(seldom, a.Alert) {
			t.Errorf("%s is not waited for", a.Alert)
		}
	}

	for _, panel := range panels(t) {
		for _, target := range panel.Targets {
			expr := filled(target.Expr, rateInterval, guests+"seen_total")
			if !processors && strings.Contains(expr, prefix+"otlp_payloads_total") {
				continue
			}
			switch n, err := p.series(expr); {
			case err != nil:
				t.Errorf("%s: %v\n%s", panel.Title, err, expr)
			case n == 0:
				t.Errorf("%s: no series\n%s", panel.Title, expr)
			}
		}
	}
}

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/flbtest"
)

func host(config ...string) *flbtest.Host {
	h := &flbtest.Host{
		Config: map[string]string{"environment": "production"},
		Tables: map[string]string{"geo": `{"192.0.2.7":{"country":{"iso_code":"DE"}}}`},
	}
	for i := 0; i < len(config); i += 2 {
		h.Config[config[i]] = config[i+1]
	}
	return h
}

func run(t *testing.T, h *flbtest.Host, records ...flbtest.Record) *flbtest.Output {
	t.Helper()
	started, err := h.Start(configure)
	if err != nil {
		t.Fatal(err)
	}
	return started.Run(records...)
}

func check(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDebugIsDropped(t *testing.T) {
	out := run(t, host(), flbtest.Record{Body: `{"level":"debug"}`}, flbtest.Record{Body: `{"level":"info"}`})
	check(t, out.Bodies(), `{"level":"info","environment":"production"}`)
}

func TestAddressesAreMaskedEverywhere(t *testing.T) {
	h := host()
	h.Groups = []string{`{"resource":{"attributes":{"owner":"ops@example.com"}}}`}
	out := run(t, h, flbtest.Record{
		Body:     `{"a":[{"b":"to bob@example.com, carol@example.com."}]}`,
		Metadata: `{"otlp":{"attributes":{"from":"bob@example.com"}}}`, Group: 1,
	})
	check(t, out.Bodies(), `{"a":[{"b":"to ***, ***."}],"environment":"production"}`)
	check(t, append(out.Groups, out.Records[0].Metadata), `{"resource":{"attributes":{"owner":"***"}}}`, `{"otlp":{"attributes":{"from":"***"}}}`)
	for place, count := range map[string]float64{"body": 2, "metadata": 1, "group": 1} {
		if n := h.Metric("masked_total", place); n != count {
			t.Error(place, n)
		}
	}
}

func TestArraysAreSplit(t *testing.T) {
	out := run(t, host(), flbtest.Record{Body: `{"items":["a@b.c",2],"client_ip":"192.0.2.7"}`})
	check(t, out.Bodies(), `{"items":"***","client_ip":"192.0.2.7","environment":"production","country":"DE"}`,
		`{"items":2,"client_ip":"192.0.2.7","environment":"production","country":"DE"}`)
}

func TestCountsEndWithTheirTime(t *testing.T) {
	h := host("count_ttl", "10")
	for _, step := range []struct {
		after time.Duration
		count int
	}{{0, 1}, {9, 2}, {1, 1}} {
		h.Advance(step.after * time.Second)
		out := run(t, h, flbtest.Record{Body: `{"user":"bob"}`})
		check(t, out.Bodies(), fmt.Sprintf(`{"user":"bob","environment":"production","count":%d}`, step.count))
	}
}

func TestConfigurationIsRefused(t *testing.T) {
	for want, h := range map[string]*flbtest.Host{
		"config.environment: set it to what is to be added to each record": {},
		"table.geo: set it to a .csv, .json or .mmdb file":                 {},
		"config.count_ttl is 'soon': invalid syntax":                       host("count_ttl", "soon"),
	} {
		if _, err := h.Start(configure); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

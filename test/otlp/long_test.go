package otlp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
)

var residentPages = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// resident is the memory of the process, in bytes.
func (p *process) resident() int {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	kB, _ := strconv.Atoi(string(residentPages.FindSubmatch(b)[1]))
	return kB << 10
}

// Payload after payload, replaced, kept and dropped, the process has no more memory in the end than without the
// processor. What leaks an object of the host for each of them, leaks more than is allowed.
func TestMemory(t *testing.T) {
	const (
		allowed = 32 << 20 // of which the plugin by itself takes about 10 MB
		alone   = "without"
	)
	n := 5_000
	if text := os.Getenv("OTLP_PAYLOADS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	client := &http.Client{} // of its own, whose connections stay open
	m, tr := marshal(t, someMetrics()), marshal(t, someTraces())
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		var without int // 5.1.1 goes from 16 to 140 MB, and stays there
		for _, do := range []string{alone, "keep", "recode", "drop", "trap"} {
			t.Run(do, func(t *testing.T) {
				var s setup
				if do != alone {
					s.options = guestDoes(do) + "\nbreaker_failures: 0"
				}
				p := start(t, fb, s)
				p.out.keep = false
				for range n {
					for signal, body := range map[string][]byte{"metrics": m, "traces": tr} {
						response, err := client.Post(p.url+"/v1/"+signal, "application/x-protobuf", bytes.NewReader(body))
						if err != nil {
							t.Fatal(err)
						}
						io.Copy(io.Discard, response.Body)
						response.Body.Close()
					}
				}
				last := p.resident()
				t.Logf("%d MB after %d payloads of each signal", last>>20, n)
				if do == alone {
					without = last
				} else if last > without+allowed {
					t.Errorf("%d bytes, and %d without the processor", last, without)
				}
				p.stop()
			})
		}
	})
}

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

// Payload after payload, replaced, kept and dropped, the process has no more memory than after the first. What
// leaks an object of the host for each of them, leaks more than is allowed.
func TestMemory(t *testing.T) {
	const allowed = 32 << 20 // 5.1.1 by itself takes up to 20 MB more meanwhile
	n := 5_000
	if text := os.Getenv("OTLP_PAYLOADS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	client := &http.Client{} // of its own, whose connections stay open
	m, tr := marshal(t, someMetrics()), marshal(t, someTraces())
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, do := range []string{"keep", "recode", "drop", "trap"} {
			t.Run(do, func(t *testing.T) {
				p := start(t, fb, setup{options: guestDoes(do) + "\nbreaker_failures: 0"})
				p.out.keep = false
				var first int
				for i := range n {
					for signal, body := range map[string][]byte{"metrics": m, "traces": tr} {
						response, err := client.Post(p.url+"/v1/"+signal, "application/x-protobuf", bytes.NewReader(body))
						if err != nil {
							t.Fatal(err)
						}
						io.Copy(io.Discard, response.Body)
						response.Body.Close()
					}
					if i == n/3 {
						first = p.resident()
					}
				}
				last := p.resident()
				t.Logf("%d MB after %d payloads of each signal, %d MB after %d", first>>20, n/3, last>>20, n)
				if last > first+allowed {
					t.Errorf("it has grown from %d to %d bytes", first, last)
				}
				p.stop()
			})
		}
	})
}

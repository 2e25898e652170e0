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

// memory has n payloads of each signal go through a processor, whose guest does something with them; "": there is no
// processor. It returns the memory after a third of them, and after all.
func memory(t *testing.T, fb fluentBit, do string, n int) (third, last int) {
	t.Helper()
	var s setup
	if do != "" {
		s.options = guestDoes(do) + "\nbreaker_failures: 0"
	}
	p := start(t, fb, s)
	p.out.keep = false
	client := &http.Client{} // of its own, whose connections stay open
	defer client.CloseIdleConnections()
	bodies := map[string][]byte{"metrics": marshal(t, someMetrics()), "traces": marshal(t, someTraces())}
	for i := range n {
		for signal, body := range bodies {
			response, err := client.Post(p.url+"/v1/"+signal, "application/x-protobuf", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		if i == n/3 {
			third = p.resident()
		}
	}
	last = p.resident()
	t.Logf("%d MB after %d payloads of each signal, %d MB after %d", third>>20, n/3, last>>20, n)
	p.stop()
	return third, last
}

// Payload after payload, replaced, kept and failed, the process has no more memory in the end than without the
// processor: 5.1.1 by itself goes from 16 to 140 MB, and stays there. It has no more than after the first if they are
// dropped, of which nothing waits for an output.
func TestMemory(t *testing.T) {
	const (
		allowed = 32 << 20 // of which the plugin by itself takes about 10 MB
		growth  = 16 << 20
	)
	n := 5_000
	if text := os.Getenv("OTLP_PAYLOADS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		_, without := memory(t, fb, "", n)
		for _, do := range []string{"keep", "recode", "drop", "trap"} {
			t.Run(do, func(t *testing.T) {
				third, last := memory(t, fb, do, n)
				if last > without+allowed {
					t.Errorf("%d bytes, and %d without the processor", last, without)
				}
				if do == "drop" && last > third+growth {
					t.Errorf("it has grown from %d to %d bytes", third, last)
				}
			})
		}
	})
}

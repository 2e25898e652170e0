package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// What a Fluent Bit sends by its output forward is what the page of flb-wasmtime play gets.
func TestPlayReceives(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		command, err := fluentbit.Plugin("flb-wasmtime")
		if err != nil {
			t.Fatal(err)
		}
		port, err := fluentbit.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		play := exec.Command(command, "play", "--listen=127.0.0.1:0", "--forward="+port, "--last=3", "../guests/identity.wat")
		out, err := play.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := play.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = play.Process.Signal(syscall.SIGTERM)
			if err := play.Wait(); err != nil {
				t.Errorf("flb-wasmtime play ended with %v", err)
			}
		}()
		lines := bufio.NewReader(out)
		address, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		origin, token, _ := strings.Cut(strings.TrimSpace(address), "#token=")
		p := fb.exec(t, t.TempDir(), "-q", "-i", "dummy", "-p", `dummy={"from":"fluent bit","n":[1.5,null]}`, "-p", "rate=20", "-t", "app.db",
			"-o", "forward", "-m", "*", "-p", "host=127.0.0.1", "-p", "port="+port, "-f", "0.2")

		var got struct {
			Total, Kept    int
			Problem, Lines string
		}
		for end := time.Now().Add(deadline); got.Total < 10; time.Sleep(waiting.Every) {
			if time.Now().After(end) {
				t.Fatalf("%+v\n%s", got, p.log.String())
			}
			answer, err := http.Get(origin + "api/received?token=" + token)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || json.Unmarshal(body, &got) != nil {
				t.Fatalf("%v: %s", err, body)
			}
		}
		list := strings.Split(strings.TrimSpace(got.Lines), "\n")
		if got.Kept != 3 || got.Problem != "" || len(list) != 4 || list[0] != `["tag","app.db"]` {
			t.Fatalf("%+v", got)
		}
		for _, line := range list[1:] {
			if !strings.HasSuffix(line, `{}],{"from":"fluent bit","n":[1.5,null]}]`) {
				t.Errorf("a record is %s", line)
			}
		}
	})
}

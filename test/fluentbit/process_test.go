package fluentbit

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patient is for what has to happen, hasty for what must not.
var patient, hasty = Waiting{time.Millisecond, time.Minute}, Waiting{time.Millisecond, 20 * time.Millisecond}

func TestUntil(t *testing.T) {
	times := 0
	third := func() bool { times++; return times == 3 }
	if err := patient.Until("the third time", nil, third); err != nil || times != 3 {
		t.Error(times, err)
	}
	if err := hasty.Until("never", nil, func() bool { return false }); err == nil || err.Error() != "not within 20ms: never" {
		t.Error(err)
	}
	ended := make(chan struct{})
	close(ended)
	if err := patient.Until("never", ended, func() bool { return false }); err == nil || err.Error() != "it has ended before: never" {
		t.Error(err)
	}
	// What a process has done just before its end counts.
	times = 0
	if err := patient.Until("the second time", ended, func() bool { times++; return times == 2 }); err != nil {
		t.Error(err)
	}
}

func TestStop(t *testing.T) {
	run := func(script string) (*exec.Cmd, chan struct{}) {
		cmd, ended := exec.Command("sh", "-c", script+"; echo ready; while :; do sleep 0.01; done"), make(chan struct{})
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_ = cmd.Wait()
			close(ended)
		}()
		return cmd, ended
	}
	cmd, ended := run("trap 'exit 3' TERM")
	for range 2 { // the second time it has ended by then
		if code, err := patient.Stop(cmd, ended); code != 3 || err != nil {
			t.Error(code, err)
		}
	}
	cmd, ended = run("trap '' TERM")
	if _, err := hasty.Stop(cmd, ended); err == nil || err.Error() != "it has not ended within 20ms of SIGTERM" {
		t.Error(err)
	}
	_ = cmd.Process.Kill()
	<-ended
}

func TestClip(t *testing.T) {
	if got := Clip("short"); got != "short" {
		t.Error(got)
	}
	if got := Clip("begin" + strings.Repeat("x", 1<<20) + "end"); len(got) > 13_000 || !strings.HasPrefix(got, "begin") || !strings.HasSuffix(got, "end") {
		t.Errorf("%d bytes", len(got))
	}
}

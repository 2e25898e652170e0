package fluentbit

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Waiting is how a test waits for a process: how often it looks, and for how long.
type Waiting struct {
	Every, AtMost time.Duration
}

// Until looks at a condition until it holds. It gives up after a time, and as soon as ended is closed, which may be
// nil; what the process did last counts.
func (w Waiting) Until(what string, ended <-chan struct{}, condition func() bool) error {
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	end := time.After(w.AtMost)
	for !condition() {
		select {
		case <-ended:
			if !condition() {
				return fmt.Errorf("it has ended before: %s", what)
			}
			return nil
		case <-end:
			return fmt.Errorf("not within %v: %s", w.AtMost, what)
		case <-tick.C:
		}
	}
	return nil
}

// Stop ends a process by SIGTERM, if it has not ended by itself, and returns its exit code. ended is closed when it has
// ended, and waited for by who has started it.
func (w Waiting) Stop(cmd *exec.Cmd, ended <-chan struct{}) (exitCode int, err error) {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	select {
	case <-ended:
		return cmd.ProcessState.ExitCode(), nil
	case <-time.After(w.AtMost):
		return 0, fmt.Errorf("it has not ended within %v of SIGTERM", w.AtMost)
	}
}

// Dial connects to a process on a port of the loopback interface as soon as it listens.
func (w Waiting) Dial(port string, ended <-chan struct{}) (conn net.Conn, err error) {
	err = w.Until("a connection to port "+port, ended, func() bool {
		var failed error
		conn, failed = net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", port), time.Second)
		return failed == nil
	})
	return conn, err
}

// Clip shortens a log in the middle.
func Clip(log string) string {
	const half = 6000
	if len(log) > 2*half {
		return log[:half] + "\n...\n" + log[len(log)-half:]
	}
	return log
}

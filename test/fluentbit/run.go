package fluentbit

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// RunUntil runs Fluent Bit in a directory until what it has written, to both of its outputs, is as
// wanted, and ends it then. An error has all that it has written.
func (b Binary) RunUntil(ctx context.Context, dir string, wanted func(out string) bool, args ...string) error {
	cmd := exec.CommandContext(ctx, b.Path, args...)
	cmd.Dir = dir
	var out Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !wanted(out.String()) {
		select {
		case err := <-ended:
			return fmt.Errorf("it has ended: %v\n%s", cmp.Or(ctx.Err(), err), out.String())
		case <-ticker.C:
		}
	}
	// One: a second one may lock 5.1.1.
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := <-ended; err != nil {
		return fmt.Errorf("%w\n%s", err, out.String())
	}
	return nil
}

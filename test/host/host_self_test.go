package host

import (
	"path/filepath"
	"strings"
	"testing"
)

// What the other tests rely on: the host notices these mistakes of a plugin.
func TestHostNotices(t *testing.T) {
	object := filepath.Join(t.TempDir(), "flb-filter_faulty.so")
	out, err := compiling("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
		"-DFAMILY=503", "-o", object, filepath.Join("src", "faulty.c")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct {
		mistake string
		want    string // in the host's error or on its stderr; "" if it just dies
	}{
		{"none", ""},
		{"stack", "overran a stack of 24576 bytes"},
		{"past", "block written past its end"},
		{"foreign", "does not come from the host's malloc"},
		{"write", ""},
		{"read", ""},
		{"instance", "wrote into the filter instance"},
	} {
		t.Run(c.mistake, func(t *testing.T) {
			p := start(t, newest)
			p.do("load", enhex(object))
			i := p.instance(nil)
			i.init()
			chunk := p.chunk(chunkOf(1))
			// Commands whose answers don't matter: the host may be dead.
			for _, command := range []string{
				"coroutine 24576 " + i.id + " " + enhex(c.mistake) + " " + chunk,
				"exit " + i.id,
				"quit",
			} {
				p.stdin.Write([]byte(command + "\n"))
			}
			<-p.ended
			var said strings.Builder
			for line := range p.lines {
				if text, ok := strings.CutPrefix(line, "err "); ok {
					said.Write(unhex(text))
				}
			}
			said.WriteString(p.stderr.String())
			if survived := p.cmd.ProcessState.Success() && said.Len() == 0; survived != (c.mistake == "none") {
				t.Errorf("the host ended with %v and said %q", p.cmd.ProcessState, said.String())
			}
			if !strings.Contains(said.String(), c.want) {
				t.Errorf("the host said %q, want %q", said.String(), c.want)
			}
		})
	}
}

package guest

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// maxFrames bounds the functions that a backtrace names. wasmtime keeps 20.
const maxFrames = 8

// frameLine is a line of a backtrace in wasmtime's messages: number, offset in the module, name of
// the module, which may hold anything but '!' as a rule, and of the function.
var frameLine = regexp.MustCompile(`^ *[0-9]+: +0x([0-9a-f]+) - [^!]*!(.*)$`)

// backtrace words the functions that a guest was in, as a message of wasmtime lists them, the
// innermost first: "inner (src/lib.rs:7) <- outer <- filter". It is empty if there are none. With
// leafUnknown the innermost is not among them.
func backtrace(message string, lines *lineTable, leafUnknown bool) string {
	found := false
	var frames []string
	if leafUnknown {
		frames = append(frames, "?")
	}
	for line := range strings.Lines(message) {
		m := frameLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			if found {
				break
			}
			continue
		}
		if len(frames) == maxFrames {
			frames = append(frames, "…")
			break
		}
		frame := hostlog.Printable(m[2], maxTypeBytes)
		if offset, err := strconv.ParseUint(m[1], 16, 32); err == nil {
			if at := lines.find(offset); at != "" {
				frame += " (" + hostlog.Printable(at, maxTypeBytes) + ")"
			}
		}
		frames, found = append(frames, frame), true
	}
	if !found {
		return ""
	}
	return strings.Join(frames, " <- ")
}

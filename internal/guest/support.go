package guest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
)

// EngineText says which wasmtime is linked, and how long it is supported.
func EngineText() string { return engineText(capi.Version, time.Now()) }

func engineText(version string, now time.Time) string {
	text := "wasmtime " + version
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return text
	}
	end := supportEnd(n)
	word := "supported until"
	if now.After(end) {
		word = "out of support since"
	}
	return fmt.Sprintf("%s (%s %s)", text, word, end.Format(time.DateOnly))
}

// supportEnd is the day after which a release of wasmtime gets no more fixes of security. They
// appear on the 20th of each month and are supported for two, every twelfth for 24
// (https://docs.wasmtime.dev/stability-release.html).
func supportEnd(major int) time.Time {
	released := time.Date(2024, time.April, 20, 0, 0, 0, 0, time.UTC).AddDate(0, major-20, 0)
	if major%12 == 0 {
		return released.AddDate(0, 24, 0)
	}
	return released.AddDate(0, 2, 0)
}

package golden

import (
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// Passed reports whether all was as expected.
func (r *Result) Passed() bool { return r.Err == nil && len(r.Problems) == 0 }

// maxProblems bounds what is shown of a case.
const maxProblems = 100

// Text lists the problems: what was expected after -, what there is after +.
func (r *Result) Text(p trial.Palette) string {
	var b strings.Builder
	what := ""
	for _, problem := range r.Problems[:min(len(r.Problems), maxProblems)] {
		if problem.What != what || len(problem.Changes) > 0 {
			fmt.Fprintf(&b, "  %s\n", problem.What)
			what = problem.What
		}
		b.WriteString(p.Changes("    ", problem.Changes))
		if problem.Was != "" {
			fmt.Fprintf(&b, "    %s\n", p.Was(hostlog.Line(problem.Was)))
		}
		if problem.Is != "" {
			fmt.Fprintf(&b, "    %s\n", p.Is(hostlog.Line(problem.Is)))
		}
	}
	if more := len(r.Problems) - maxProblems; more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	return b.String()
}

// What JUnit's consumers read (https://llg.cubic.org/docs/junit/).
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
		elapsed  time.Duration
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
		elapsed  time.Duration
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		File      string        `xml:"file,attr"`
		Time      string        `xml:"time,attr"`
		Failure   *junitMessage `xml:"failure"`
		Error     *junitMessage `xml:"error"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes results as JUnit's XML, a suite for each directory.
func WriteJUnit(w io.Writer, results []*Result) error {
	var all junitSuites
	for _, r := range results {
		dir := filepath.ToSlash(filepath.Dir(r.Path))
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != dir {
			all.Suites = append(all.Suites, junitSuite{Name: dir})
		}
		s := &all.Suites[len(all.Suites)-1]
		name := strings.TrimSuffix(filepath.Base(r.Path), filepath.Ext(r.Path))
		c := junitCase{Name: name, ClassName: dir, File: r.Path, Time: seconds(r.Elapsed)}
		switch {
		case r.Err != nil:
			c.Error = &junitMessage{Message: hostlog.Line(r.Err.Error())}
			s.Errors++
			all.Errors++
		case len(r.Problems) > 0:
			text := r.Text(trial.Palette{})
			first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
			c.Failure = &junitMessage{Message: "not as expected: " + first, Text: text}
			s.Failures++
			all.Failures++
		}
		s.Cases = append(s.Cases, c)
		s.Tests++
		all.Tests++
		s.elapsed += r.Elapsed
		all.elapsed += r.Elapsed
		s.Time, all.Time = seconds(s.elapsed), seconds(all.elapsed)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

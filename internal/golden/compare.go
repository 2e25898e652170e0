package golden

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// Problem is something that is not as expected: what differs in it, or what was expected and what there is, as
// text. Of something that only one side has, the other is "".
type Problem struct {
	What    string
	Changes []trial.Change
	Was, Is string
}

// compare says what of the outcome is not as the case expects.
func (c *Case) compare(o *outcome) (problems []Problem, err error) {
	if o.startError != "" || c.startError != "" {
		switch {
		case c.startError == "":
			return nil, fmt.Errorf("%s: %s", c.Path, o.startError)
		case o.startError == "":
			return []Problem{{What: "start_error", Was: c.startError, Is: "the filters start"}}, nil
		case !strings.Contains(o.startError, c.startError):
			return []Problem{{What: "start_error", Was: c.startError, Is: o.startError}}, nil
		}
		return nil, nil
	}
	if c.output == nil && c.outputFile == "" {
		problems = append(problems, Problem{What: "output", Was: "", Is: "the case says nothing of it: write it, or have it written with --update"})
	} else {
		want, err := c.want()
		if err != nil {
			return nil, err
		}
		problems = c.compareEvents("output", " ", want, o.items)
	}
	emitted, err := c.compareEmitted(o)
	if err != nil {
		return nil, err
	}
	problems = append(problems, emitted...)
	if o.failed != c.failed {
		problems = append(problems, Problem{What: "failed", Was: fmt.Sprint(c.failed), Is: fmt.Sprint(o.failed)})
	}
	if o.looped > 0 && c.log == nil {
		problems = append(problems, Problem{What: "loop", Is: fmt.Sprintf("%d records would go round in a circle, which is cut: if that is right, expect the warning in log", o.looped)})
	}
	if o.badTicks > 0 && c.log == nil {
		problems = append(problems, Problem{What: "ticks", Is: fmt.Sprintf("%d have failed: if that is right, expect the error in log", o.badTicks)})
	}
	if c.log == nil && (o.failed != c.failed || o.looped+o.badTicks > 0) {
		for _, line := range o.log[:min(len(o.log), maxLogShown)] {
			problems = append(problems, Problem{What: "log", Is: line})
		}
	}
	problems = append(problems, compareSets("errors", c.errors, o.errors)...)
	if c.log != nil {
		_, others := trial.Align(len(c.log), len(o.log), func(i, j int) bool { return sameLine(c.log[i], o.log[j]) })
		problems = append(problems, textProblems("log", c.log, o.log, others)...)
	}
	if c.metrics != nil {
		problems = append(problems, compareSets("metrics", c.metrics, o.metrics)...)
	}
	return problems, nil
}

// maxLogShown bounds the lines that go with records that have failed.
const maxLogShown = 10

// compareEmitted compares what is emitted under other tags.
func (c *Case) compareEmitted(o *outcome) (problems []Problem, err error) {
	want, err := c.wantEmitted()
	if err != nil {
		return nil, err
	}
	if c.emitted == nil && len(o.emitted) > 0 {
		problems = append(problems, Problem{What: "emitted", Is: "the case says nothing of it: write it, tag by tag, or have it written with --update"})
	}
	for _, e := range want {
		problems = append(problems, c.compareEvents("emitted under "+e.tag, ", event ", e.items, under(o.emitted, e.tag))...)
	}
	for _, e := range o.emitted {
		if !slices.ContainsFunc(want, func(w emitted) bool { return w.tag == e.tag }) {
			problems = append(problems, c.compareEvents("emitted under "+e.tag, ", event ", nil, e.items)...)
		}
	}
	return problems, nil
}

// compareEvents compares events, one by one: of what, and how the name of one goes on before its number.
func (c *Case) compareEvents(what, one string, want, got []trial.Item) (problems []Problem) {
	_, others := trial.Align(len(want), len(got), func(i, j int) bool { return len(c.changes(want[i], got[j])) == 0 })
	for _, p := range others {
		switch {
		case p.Is < 0:
			problems = append(problems, Problem{What: fmt.Sprintf("%s%s%d", what, one, p.Was+1), Was: string(want[p.Was].AppendLine(nil, c.time))})
		case p.Was < 0:
			problems = append(problems, Problem{What: fmt.Sprintf("%s, further (%d of what came out)", what, p.Is+1), Is: string(got[p.Is].AppendLine(nil, c.time))})
		case want[p.Was].Kind != got[p.Is].Kind || want[p.Was].Kind == trial.Tag:
			problems = append(problems, Problem{What: fmt.Sprintf("%s%s%d", what, one, p.Was+1),
				Was: string(want[p.Was].AppendLine(nil, c.time)), Is: string(got[p.Is].AppendLine(nil, c.time))})
		default:
			problems = append(problems, Problem{What: fmt.Sprintf("%s%s%d", what, one, p.Was+1), Changes: c.changes(want[p.Was], got[p.Is])})
		}
	}
	return problems
}

// changes are where an event is not as expected. A body alone stands for the time of the case and no
// metadata; null for any.
func (c *Case) changes(want, got trial.Item) (list []trial.Change) {
	if want.Kind != got.Kind || want.Tag != got.Tag {
		return []trial.Change{{Path: "$", Was: want.Body, Is: got.Body}}
	}
	if want.Kind != trial.Event && want.Kind != trial.Group {
		return nil
	}
	if want.Plain {
		want.Time, want.Metadata = &c.time, trial.Map{}
	}
	if want.Time != nil && !want.Time.Equal(*got.Time) {
		list = append(list, trial.Change{Path: "time", Was: trial.TimeText(*want.Time), Is: trial.TimeText(*got.Time)})
	}
	if want.Metadata != nil {
		for _, change := range trial.Diff(want.Metadata, got.Metadata) {
			change.Path = "metadata " + change.Path
			list = append(list, change)
		}
	}
	return append(list, trial.Diff(want.Body, got.Body)...)
}

// sameLine reports whether a line of the log is the expected one, which has its level and a part of its text.
func sameLine(want, got string) bool {
	wantLevel, wantText, _ := strings.Cut(want, " ")
	gotLevel, gotText, _ := strings.Cut(got, " ")
	return wantLevel == gotLevel && strings.Contains(gotText, strings.TrimSpace(wantText))
}

// compareSets compares lists of which the order does not count.
func compareSets(what string, want, got []string) []Problem {
	want, got = slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))
	_, others := trial.Align(len(want), len(got), func(i, j int) bool { return want[i] == got[j] })
	return textProblems(what, want, got, others)
}

func textProblems(what string, want, got []string, others []trial.Pair) (problems []Problem) {
	for _, p := range others {
		problem := Problem{What: what}
		if p.Was >= 0 {
			problem.Was = want[p.Was]
		}
		if p.Is >= 0 {
			problem.Is = got[p.Is]
		}
		problems = append(problems, problem)
	}
	return problems
}

package fbconf

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Matcher decides which tags a filter sees.
type Matcher struct {
	pattern string
	hasGlob bool
	regex   *regexp.Regexp // anchored at the start; nil if there is none
}

// ErrNoMatch means that a filter has neither Match nor Match_Regex.
var ErrNoMatch = errors.New("neither match nor match_regex is set")

// NewMatcher reads the match rules of a section. Fluent Bit unloads a filter
// that has none.
func NewMatcher(s *Section) (Matcher, error) {
	var m Matcher
	m.pattern, m.hasGlob = s.Get("match")
	expr, hasRegex := s.Get("match_regex")
	if !m.hasGlob && !hasRegex {
		return m, ErrNoMatch
	}
	if hasRegex {
		var err error
		if m.regex, err = compileMatchRegex(expr); err != nil {
			return m, err
		}
	}
	return m, nil
}

// Match reports whether the filter sees chunks of this tag: one of the two
// rules is enough.
func (m Matcher) Match(tag string) bool {
	if m.regex != nil {
		// onig_match has to start at the tag's first byte and to take at least
		// one (src/flb_router.c, router_match, 5.1.1).
		if loc := m.regex.FindStringIndex(tag); loc != nil && loc[1] > 0 {
			return true
		}
	}
	return m.hasGlob && MatchTag(m.pattern, tag)
}

// MatchTag reports whether tag is of the form of pattern, in which * stands for
// any run of characters.
func MatchTag(pattern, tag string) bool {
	// Only the last * can have to take more than it did, so one place to come
	// back to is enough.
	star, retry := -1, 0
	p, t := 0, 0
	for t < len(tag) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, t
			p++
		case p < len(pattern) && pattern[p] == tag[t]:
			p, t = p+1, t+1
		case star >= 0:
			retry++
			p, t = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// compileMatchRegex reads an expression as Fluent Bit does: plain, or between
// slashes with the options i and m behind. What Ruby's expressions have more
// than Go's is refused.
func compileMatchRegex(expr string) (*regexp.Regexp, error) {
	plain, flags := expr, ""
	if body, ok := strings.CutPrefix(expr, "/"); ok {
		if end := strings.LastIndexByte(body, '/'); end >= 0 && strings.Trim(body[end+1:], "imo") == "" {
			plain = body[:end]
			if strings.Contains(body[end+1:], "i") {
				flags += "i"
			}
			if strings.Contains(body[end+1:], "m") {
				flags += "s" // what Ruby calls m: a dot takes newlines too
			}
		}
	}
	// In Ruby ^ and $ always mean lines.
	re, err := regexp.Compile(`\A(?m` + flags + `:` + plain + `)`)
	if err != nil {
		return nil, fmt.Errorf("match_regex %q can't be used here: %w", expr, err)
	}
	return re, nil
}

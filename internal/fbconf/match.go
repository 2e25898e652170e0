package fbconf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// matchTimeout bounds the search of an expression, which backtracks as Fluent Bit's do.
const matchTimeout = time.Second

// Matcher decides which tags a filter sees.
type Matcher struct {
	pattern string
	hasGlob bool
	regex   *regexp2.Regexp // anchored at the start; nil if there is none
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
// rules is enough. It is an error if that can't be found out in time.
func (m Matcher) Match(tag string) (bool, error) {
	if m.regex != nil {
		// onig_match has to start at the tag's first byte and to take at least
		// one (src/flb_router.c, router_match, 5.1.1).
		found, err := m.regex.FindStringMatch(tag)
		if err != nil {
			return false, fmt.Errorf("match_regex: no answer for tag %q within %v: the expression backtracks too much", tag, matchTimeout)
		}
		if found != nil && found.Length > 0 {
			return true, nil
		}
	}
	return m.hasGlob && MatchTag(m.pattern, tag), nil
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

// Overlaps reports whether there is a tag that the rules and a pattern of * match both. known is false where an
// expression would have to tell.
func (m Matcher) Overlaps(pattern string) (overlaps, known bool) {
	if m.hasGlob && Overlap(m.pattern, pattern) {
		return true, true
	}
	if m.regex == nil {
		return false, true
	}
	if strings.Contains(pattern, "*") {
		return false, false
	}
	matches, err := m.Match(pattern)
	return matches, err == nil
}

// Overlap reports whether there is a text that two patterns, in which * stands for any run of characters, match both.
func Overlap(a, b string) bool {
	// can[j]: what is left of a, from where the loop is, and b[j:] match a text both.
	can := make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		below := slices.Clone(can)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				can[j] = true
			case i < len(a) && a[i] == '*':
				can[j] = below[j] || j < len(b) && can[j+1]
			case j < len(b) && b[j] == '*':
				can[j] = can[j+1] || i < len(a) && below[j]
			default:
				can[j] = i < len(a) && j < len(b) && a[i] == b[j] && below[j+1]
			}
		}
	}
	return can[0]
}

// compileMatchRegex reads an expression as Fluent Bit does: plain, or between
// slashes with the options i and m after them. What Ruby's expressions (Onigmo) have and
// .NET's have not is refused, such as possessive quantifiers and \h.
func compileMatchRegex(expr string) (*regexp2.Regexp, error) {
	// In Ruby ^ and $ always mean lines. RE2 stands for classes such as [[:alpha:]].
	plain, flags := expr, regexp2.RegexOptions(regexp2.Multiline|regexp2.RE2)
	if body, ok := strings.CutPrefix(expr, "/"); ok {
		if end := strings.LastIndexByte(body, '/'); end >= 0 && strings.Trim(body[end+1:], "imo") == "" {
			plain = body[:end]
			if strings.Contains(body[end+1:], "i") {
				flags |= regexp2.IgnoreCase
			}
			if strings.Contains(body[end+1:], "m") {
				flags |= regexp2.Singleline // what Ruby calls m: a dot takes newlines too
			}
		}
	}
	if escape := rubyEscape(plain); escape != "" {
		return nil, fmt.Errorf("match_regex %q can't be used here: %s is not known", expr, escape)
	}
	re, err := regexp2.Compile(`\A(?:`+plain+`)`, flags)
	if err != nil {
		return nil, fmt.Errorf("match_regex %q can't be used here: %w", expr, err)
	}
	re.MatchTimeout = matchTimeout
	return re, nil
}

// rubyEscape finds an escape that means something in Onigmo, and here would stand for its
// letter: hexadecimal digits, line ends, graphemes, what is kept, calls of groups, any
// character, boundaries of text (doc/RE of Onigmo 6.2).
func rubyEscape(expr string) string {
	for i := 0; i+1 < len(expr); i++ {
		if expr[i] != '\\' {
			continue
		}
		if i++; strings.IndexByte("hHRXKgyYONM", expr[i]) >= 0 {
			return expr[i-1 : i+1]
		}
	}
	return ""
}

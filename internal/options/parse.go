package options

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// How the values of options are read.

// parser keeps the first error, so that Parse reads as a list of options.
type parser struct {
	source   Source
	err      error
	warnings []string
	signal   Signal
}

func (p *parser) fail(option, value, want string) {
	if p.err == nil {
		p.err = &Error{Option: option, Value: value, Want: want}
	}
}

// failBy is fail with an error that there may be.
func (p *parser) failBy(err *Error) {
	if p.err == nil && err != nil {
		p.err = err
	}
}

// value returns the option's text, its default if the user set nothing.
func (p *parser) value(name string) string {
	if list := p.source.values(name); len(list) > 0 {
		return strings.TrimSpace(list[0])
	}
	return find(name).Default
}

func find(name string) Option {
	for _, table := range [][]Option{Table, OutputTable} {
		for _, o := range table {
			if o.Name == name {
				return o
			}
		}
	}
	panic("option " + name + " is not in the table")
}

func (p *parser) str(name, want string) string {
	v := p.value(name)
	if v == "" {
		p.fail(name, "", want)
	}
	return v
}

func (p *parser) function() string {
	if p.signal != Logs {
		return p.value("function_name")
	}
	return p.str("function_name", "give the name of a function that the module exports")
}

// oneOf returns the index of the word that was set, in any case.
func (p *parser) oneOf(name string) int {
	v, words := p.value(name), find(name).Values
	for i, w := range words {
		if strings.EqualFold(v, w) {
			return i
		}
	}
	p.fail(name, v, "allowed are "+strings.Join(words[:len(words)-1], ", ")+" and "+words[len(words)-1])
	return 0
}

// bool knows the words of flb_utils_bool (src/flb_utils.c, 5.1.1).
func (p *parser) bool(name string) bool {
	switch v := p.value(name); strings.ToLower(v) {
	case "on", "yes", "true":
		return true
	case "off", "no", "false":
		return false
	default:
		p.fail(name, v, "allowed are on and off")
		return false
	}
}

var sha256Digits = regexp.MustCompile(`^[0-9a-f]{64}$`)

// sha256 reads a hash, with or without the name of its algorithm.
func (p *parser) sha256(name string) string {
	v := p.value(name)
	digits := strings.TrimPrefix(strings.ToLower(v), "sha256:")
	if v != "" && !sha256Digits.MatchString(digits) {
		p.fail(name, v, "give the 64 hexadecimal digits that sha256sum prints for the file, with or without sha256: before them")
	}
	return digits
}

func (p *parser) allocator(name string) string {
	v := p.value(name)
	parts := strings.Split(v, ",")
	if v != "auto" && v != "host" && len(parts) != 2 {
		p.fail(name, v, "allowed are auto, host, and the names of two functions that the module exports: ALLOCATE,FREE")
		return ""
	}
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return strings.Join(parts, ",")
}

// sizesLike are examples, none of which is below the min.
func sizesLike(min int64) string {
	examples := []string{"8192", "64k", "1M", "100M"}
	for n, ok := parseSize(examples[0]); ok && n < min; n, ok = parseSize(examples[0]) {
		examples = examples[1:]
	}
	return "such as " + strings.Join(examples[:len(examples)-1], ", ") + " or " + examples[len(examples)-1]
}

func (p *parser) size(name string, min, max int64) int64 {
	v := p.value(name)
	n, ok := parseSize(v)
	if !ok || n < min || n > max {
		p.fail(name, v, fmt.Sprintf("allowed are sizes %s, from %d to %d bytes", sizesLike(min), min, max))
		return 0
	}
	return n
}

// clampedSize reads a size that the built-in filter has, too, which refuses nothing: what
// is too much, or negative, or not a size at all, is as much as there may be.
func (p *parser) clampedSize(name string, max int64) int64 {
	v := p.value(name)
	n := hostSize(v)
	if n >= 0 && n <= float64(max) {
		return int64(n)
	}
	p.warnings = append(p.warnings, fmt.Sprintf("option %s: %q is taken as %d bytes, the maximum", name, v, max))
	return max
}

func (p *parser) number(name string, min, max int64) int64 {
	v := p.value(name)
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < min || n > max {
		p.fail(name, v, fmt.Sprintf("allowed are whole numbers from %d to %d", min, max))
		return 0
	}
	return n
}

func (p *parser) time(name string, min, max time.Duration) time.Duration {
	v := p.value(name)
	d, ok := parseTime(v)
	if !ok || d < min || d > max {
		p.fail(name, v, fmt.Sprintf("allowed are times such as 500ms, 1s or 2m, from %v to %v", min, max))
		return 0
	}
	return d
}

// list returns the parts of a comma list that are not empty. A part in quotes may hold
// anything.
func (p *parser) list(name string) []string {
	values := p.source.values(name)
	if !find(name).Multiple {
		values = values[:min(1, len(values))]
	}
	var list []string
	for _, value := range values {
		for rest := trimBlanks(value); rest != ""; {
			var part string
			if rest[0] == '"' {
				var err error
				if part, rest, err = cutQuoted(rest); err != nil {
					p.fail(name, value, err.Error())
					return nil
				}
			} else {
				part, rest, _ = strings.Cut(rest, ",")
			}
			rest = trimBlanks(rest)
			if part = trimBlanks(part); part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}

const blanks = " \t\r\n"

func trimBlanks(s string) string { return strings.Trim(s, blanks) }

// cutQuoted cuts a text in quotes off the beginning of s, with the comma that follows.
// Within the quotes \" and \\ stand for these two, \n, \r and \t for what they do in C.
func cutQuoted(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			rest = trimBlanks(s[i+1:])
			if rest != "" && rest[0] != ',' {
				return "", "", errors.New("after the closing quote a comma or the end must come")
			}
			return b.String(), strings.TrimPrefix(rest, ","), nil
		case '\\':
			i++
			at := -1
			if i < len(s) {
				at = strings.IndexByte(`"\nrt`, s[i])
			}
			if at < 0 {
				return "", "", errors.New(`in quotes \", \\, \n, \r and \t are known; a backslash is written \\`)
			}
			b.WriteByte("\"\\\n\r\t"[at])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("the closing quote is missing")
}

func (p *parser) dirs(name string) []Path {
	var dirs []Path
	for _, part := range p.list(name) {
		dir, writable := strings.CutSuffix(part, ":rw")
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() {
			p.fail(name, p.value(name), fmt.Sprintf("%q is not a directory that can be read", filepath.Clean(dir)))
			return nil
		}
		dirs = append(dirs, Path{Dir: dir, Writable: writable})
	}
	return dirs
}

// variable is how the next variable in env begins.
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// env reads variables of any value. Without quotes a value goes on up to a comma that
// the name of the next variable follows, or to the end. Errors show no value, which may be
// a secret.
func (p *parser) env(name string) (list []string) {
	for _, value := range p.source.values(name) {
		list = append(list, p.variables(name, value)...)
	}
	return list
}

// variables reads the variables of one value.
func (p *parser) variables(name, value string) []string {
	var list []string
	const ends = blanks + ","
	for rest := strings.TrimLeft(value, ends); rest != ""; rest = strings.TrimLeft(rest, ends) {
		begin := variable.FindString(rest)
		if begin == "" {
			part, _, _ := strings.Cut(rest, ",")
			part, _, _ = strings.Cut(part, "=")
			p.fail(name, trimBlanks(part)+"…", "it must be of the form NAME=value, with letters, digits and _ in the name")
			return nil
		}
		var value string
		if rest = rest[len(begin):]; strings.HasPrefix(rest, `"`) {
			var err error
			if value, rest, err = cutQuoted(rest); err != nil {
				p.fail(name, begin+"…", err.Error())
				return nil
			}
		} else {
			end := nextVariable(rest)
			value, rest = strings.TrimRight(rest[:end], ends), rest[end:]
		}
		if strings.IndexByte(value, 0) >= 0 {
			p.fail(name, begin+"…", "a value can't hold a zero byte")
			return nil
		}
		list = append(list, begin+value)
	}
	return list
}

// nextVariable finds the comma before the next variable, or the end.
func nextVariable(s string) int {
	for i := range len(s) {
		if s[i] == ',' && variable.MatchString(strings.TrimLeft(s[i+1:], blanks)) {
			return i
		}
	}
	return len(s)
}

// parseTime reads a time: Go's units, and Fluent Bit's bare seconds and days
// (flb_utils_time_to_seconds in src/flb_utils.c, 5.1.1).
func parseTime(s string) (time.Duration, bool) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if days, ok := strings.CutSuffix(strings.ToLower(s), "d"); ok {
		n, err := strconv.ParseUint(days, 10, 15)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(strings.ToLower(s))
	return d, err == nil && d >= 0
}

// hostSize reads a size exactly as Fluent Bit does, which makes -1 of what it can't read
// (flb_utils_size_to_bytes in src/flb_utils.c, 5.1.1; 1.9.10 knows no fractions). The
// number at the start counts, and up to two characters after the last digit.
func hostSize(s string) float64 {
	if strings.EqualFold(s, "false") {
		return 0
	}
	if s == "" {
		return -1
	}
	digits := strings.TrimRightFunc(s[1:], func(r rune) bool { return r < '0' || r > '9' })
	number, suffix := s[:1+len(digits)], strings.ToUpper(s[1+len(digits):])
	n, _ := strconv.ParseFloat(leadingNumber.FindString(number), 64)
	switch suffix {
	case "":
		return math.Trunc(n)
	case "K", "KB":
		return math.Trunc(n * 1e3)
	case "M", "MB":
		return math.Trunc(n * 1e6)
	case "G", "GB":
		return math.Trunc(n * 1e9)
	default:
		return -1
	}
}

var leadingNumber = regexp.MustCompile(`^[+-]?[0-9]*\.?[0-9]*([eE][+-]?[0-9]+)?`)

// parseSize reads a size as Fluent Bit's flb_utils_size_to_bytes does (decimal
// factors, a B after them if one likes; src/flb_utils.c, 5.1.1), but refuses what that
// function lets pass as 0: signs, blanks, fractions of a byte, rubbish.
func parseSize(s string) (int64, bool) {
	u := strings.ToUpper(s)
	factor := int64(1)
	for suffix, f := range map[string]int64{"K": 1e3, "M": 1e6, "G": 1e9} {
		if t, ok := strings.CutSuffix(strings.TrimSuffix(u, "B"), suffix); ok {
			u, factor = t, f
			break
		}
	}
	n, err := strconv.ParseUint(u, 10, 63)
	if err != nil || int64(n) > (1<<62)/factor {
		return 0, false
	}
	return int64(n) * factor, true
}

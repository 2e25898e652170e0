package options

import (
	"cmp"
	"slices"
	"strings"
)

// IsActive says whether Fluent Bit runs a filter whose option active has this value, "" if it is not set (is_active in
// src/flb_filter.c, 2.2.3 and 5.1.1).
func IsActive(value string) bool { return !strings.EqualFold(value, "false") && value != "0" }

// IsOff says whether Fluent Bit reads an option of another plugin as off (flb_utils_bool in src/flb_utils.c).
func IsOff(value string) bool {
	return slices.Contains([]string{"off", "false", "no"}, strings.ToLower(value))
}

// NameOfEmitter returns what a filter calls the input that it makes: option emitter_name, which may be "". Filters of
// Fluent Bit do likewise (plugins/filter_*, 5.1.1).
func NameOfEmitter(option, filter string) string { return cmp.Or(option, "emitter_for_"+filter) }

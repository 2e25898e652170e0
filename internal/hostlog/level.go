package hostlog

// Level is a level of Fluent Bit's log, by Fluent Bit's numbers
// (include/fluent-bit/flb_log.h, 1.8 to 5.1).
type Level int

// The levels that are used.
const (
	Error Level = 1
	Warn  Level = 2
	Info  Level = 3
	Debug Level = 4
	Trace Level = 5
)

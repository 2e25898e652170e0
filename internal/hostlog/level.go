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

	// Off is the level of a log without lines. It is not Fluent Bit's number for that, 0, where 0
	// stands for a level that nobody has set.
	Off Level = -1
)

// LevelOf is the level of a log that has Fluent Bit's number.
func LevelOf(number int) Level {
	if number <= 0 {
		return Off
	}
	return Level(number)
}

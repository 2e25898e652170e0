package records

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

func TestRecords(t *testing.T) {
	const n = 20_000
	surrogate := regexp.MustCompile(`\\u[dD][89a-fA-F]`)
	number := regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	seq, size := 0, 0
	var smallest, largest int
	for record := range Generate(n, 1) {
		if !json.Valid(record) || bytes.ContainsAny(record, "\n\x00") || surrogate.Match(record) {
			t.Fatalf("record %d: %s", seq, record)
		}
		decoder := json.NewDecoder(bytes.NewReader(record))
		decoder.UseNumber()
		for {
			token, err := decoder.Token()
			if err != nil {
				break
			}
			if n, ok := token.(json.Number); ok {
				if !number.MatchString(n.String()) || !exact(n.String()) {
					t.Fatalf("record %d: number %s", seq, n)
				}
			}
		}
		var decoded struct{ Seq *int }
		if err := json.Unmarshal(record, &decoded); err != nil || decoded.Seq == nil || *decoded.Seq != seq {
			t.Fatalf("record %d, %v: %s", seq, err, record)
		}
		if seq == 0 || len(record) < smallest {
			smallest = len(record)
		}
		largest = max(largest, len(record))
		size += len(record)
		seq++
	}
	if seq != n {
		t.Errorf("%d records, want %d", seq, n)
	}
	if mean := size / n; mean < 350 || mean > 550 {
		t.Errorf("%d bytes on average, want 350 to 550", mean)
	}
	t.Logf("%d to %d bytes, %d on average", smallest, largest, size/n)
}

// exact reports whether a number survives 64 bits: as an integer, or as the
// shortest text of a float.
func exact(number string) bool {
	if !bytes.ContainsRune([]byte(number), '.') {
		_, signed := strconv.ParseInt(number, 10, 64)
		_, unsigned := strconv.ParseUint(number, 10, 64)
		return signed == nil || unsigned == nil
	}
	f, err := strconv.ParseFloat(number, 64)
	shortest := strconv.FormatFloat(f, 'f', -1, 64)
	return err == nil && (number == shortest || number == shortest+".0")
}

func TestDeterministic(t *testing.T) {
	all := func(n int, seed uint64) (records [][]byte) {
		return slices.Collect(Generate(n, seed))
	}
	a, b := all(100, 7), all(1000, 7)
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			t.Errorf("record %d: %s and %s", i, a[i], b[i])
		}
	}
	if bytes.Equal(bytes.Join(a, nil), bytes.Join(all(100, 8), nil)) {
		t.Error("another seed gives the same records")
	}
}

func TestStopsEarly(t *testing.T) {
	n := 0
	for range Generate(1000, 1) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d records, want 3", n)
	}
	for range Generate(0, 1) {
		t.Error("a record of none")
	}
}

package oracle

import (
	"slices"
	"testing"
)

func TestEscapeControls(t *testing.T) {
	out, offsets := EscapeControls([]byte("\n\"\n\\\"\x01\""))
	if want := "\n\"\\u000a\\\"\\u0001\""; string(out) != want {
		t.Errorf("%q, want %q", out, want)
	}
	if want := []int{0, 1, 2, 2, 2, 2, 2, 2, 3, 4, 5, 5, 5, 5, 5, 5, 6, 7}; !slices.Equal(offsets, want) {
		t.Errorf("%v, want %v", offsets, want)
	}
}

func TestUnpackWhatPackWrote(t *testing.T) {
	chunk := Pack(
		Legacy(Timestamp(1, 2), map[string]any{"a": 1}),
		Current(1.5, map[string]any{"m": "x"}, map[string]any{"a": 1.0}),
	)
	events, err := Unpack(chunk)
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if got := events[0].Header; got != "\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02" {
		t.Errorf("header = %x", got)
	}
	// In another width, an integer is the same and a float is not.
	if d := Diff([]byte("\x92\x01\x81\xa1a\x05"), []byte("\x92\x01\xdf\x00\x00\x00\x01\xa1a\xcd\x00\x05")); d != "" {
		t.Error(d)
	}
	if Diff([]byte("\x92\x01\x81\xa1a\x05"), []byte("\x92\x01\x81\xa1a\xca\x40\xa0\x00\x00")) == "" {
		t.Error("5 and 5.0 are the same")
	}
	for n := 1; n < len(chunk); n++ {
		whole := 0
		if n >= 15 {
			whole = 1
		}
		events, err := Unpack(chunk[:n])
		if len(events) != whole || (err == nil) != (n == 15) {
			t.Errorf("the first %d bytes: %d events, %v", n, len(events), err)
		}
	}
}

func TestKeysAreInOrder(t *testing.T) {
	chunk := []byte("\x92\x01\x82\xa1b\x92\x01\x81\xa1x\x80\xa1a\x02")
	events, err := Unpack(chunk)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"b"{"x"{}}"a"}`; events[0].Keys != want {
		t.Errorf("keys = %s, want %s", events[0].Keys, want)
	}
}

func TestElements(t *testing.T) {
	for in, want := range map[string]struct {
		elements []string
		isMap    bool
	}{
		"\x92\xc0\x91\x01":                  {[]string{"\xc0", "\x91\x01"}, false},
		"\xdc\x00\x01\xcd\x00\x05":          {[]string{"\xcd\x00\x05"}, false},
		"\x82\xa1b\xc0\xa1b\x80":            {[]string{"\xa1b", "\xc0", "\xa1b", "\x80"}, true},
		"\xdf\x00\x00\x00\x01\xc4\x01x\x02": {[]string{"\xc4\x01x", "\x02"}, true},
	} {
		got, isMap, err := Elements([]byte(in))
		if err != nil || isMap != want.isMap || len(got) != len(want.elements) {
			t.Errorf("%x: %x, %t, %v", in, got, isMap, err)
			continue
		}
		for i := range got {
			if string(got[i]) != want.elements[i] {
				t.Errorf("%x: element %d is %x", in, i, got[i])
			}
		}
	}
	for _, in := range []string{"\x01", "\xc0", "\xa1x", "\xc4\x01x"} {
		if _, _, err := Elements([]byte(in)); err != ErrNotContainer {
			t.Errorf("%x: %v", in, err)
		}
	}
}

package fbconf

import "testing"

// Two patterns overlap if one of all short texts is matched by both.
func TestOverlap(t *testing.T) {
	words := func(letters string, most int) (list []string) {
		list = []string{""}
		for from, n := 0, 0; n < most; n++ {
			to := len(list)
			for _, w := range list[from:to] {
				for _, c := range letters {
					list = append(list, w+string(c))
				}
			}
			from = to
		}
		return list
	}
	texts := words("ab", 6) // letters of two patterns
	patterns := words("ab*", 3)
	for _, a := range patterns {
		for _, b := range patterns {
			want := false
			for _, text := range texts {
				want = want || MatchTag(a, text) && MatchTag(b, text)
			}
			if got := Overlap(a, b); got != want {
				t.Errorf("%q and %q: %v, want %v", a, b, got, want)
			}
		}
	}
}

func TestMatcherOverlaps(t *testing.T) {
	for _, tt := range []struct {
		match, regex, pattern string
		overlaps, known       bool
	}{
		{"app.*", "", "*.db", true, true},
		{"app.*", "", "dead.*", false, true},
		{"", "^app", "app.x", true, true},
		{"", "^app", "dead", false, true},
		{"", "^app", "dead.*", false, false},
		{"dead.*", "^app", "dead.*", true, true},
		{"", "^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false, false}, // it is not found out in time
	} {
		s := Section{}
		if tt.match != "" {
			s.Properties = append(s.Properties, Property{Key: "match", Value: tt.match})
		}
		if tt.regex != "" {
			s.Properties = append(s.Properties, Property{Key: "match_regex", Value: tt.regex})
		}
		m, err := NewMatcher(&s)
		if err != nil {
			t.Fatal(err)
		}
		if overlaps, known := m.Overlaps(tt.pattern); overlaps != tt.overlaps || known != tt.known {
			t.Errorf("%+v: %v, %v", tt, overlaps, known)
		}
	}
}

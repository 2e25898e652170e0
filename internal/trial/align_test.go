package trial

import (
	"math/rand/v2"
	"testing"
)

// Each element is in one pair, both sides ascend, pairs that are the same are, and there are as many as
// there can be.
func TestAlign(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		a, b := make([]int, r.IntN(9)), make([]int, r.IntN(9))
		for _, list := range [][]int{a, b} {
			for i := range list {
				list[i] = r.IntN(3)
			}
		}
		equal, others := Align(len(a), len(b), func(i, j int) bool { return a[i] == b[j] })
		if most := longest(a, b); len(equal) != most {
			t.Fatalf("%v %v: %d pairs, and %d are possible", a, b, len(equal), most)
		}
		seenA, seenB := make([]int, len(a)), make([]int, len(b))
		last := Pair{-1, -1}
		for _, p := range equal {
			if p.Was <= last.Was || p.Is <= last.Is || a[p.Was] != b[p.Is] {
				t.Fatalf("%v %v: %v", a, b, equal)
			}
			last = p
			seenA[p.Was]++
			seenB[p.Is]++
		}
		last = Pair{-1, -1}
		for _, p := range others {
			if p.Was >= 0 {
				if seenA[p.Was]++; p.Was <= last.Was {
					t.Fatalf("%v %v: %v", a, b, others)
				}
				last.Was = p.Was
			}
			if p.Is >= 0 {
				if seenB[p.Is]++; p.Is <= last.Is {
					t.Fatalf("%v %v: %v", a, b, others)
				}
				last.Is = p.Is
			}
		}
		for _, n := range append(seenA, seenB...) {
			if n != 1 {
				t.Fatalf("%v %v: %v %v", a, b, equal, others)
			}
		}
	}
	// Too many to be aligned are paired one by one.
	_, others := Align(3000, 3000, func(i, j int) bool { return i == j+1 })
	if len(others) != 3000 {
		t.Error(len(others))
	}
}

// longest is the length of the longest common subsequence, by trying all.
func longest(a, b []int) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	if a[0] == b[0] {
		return 1 + longest(a[1:], b[1:])
	}
	return max(longest(a[1:], b), longest(a, b[1:]))
}

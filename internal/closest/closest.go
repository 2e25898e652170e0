// Package closest finds what a misspelt word may have been meant to be.
package closest

import "strings"

// maxWordBytes bounds what is compared: the time for two words is the product of their
// lengths.
const maxWordBytes = 100

// To returns the word that differs the least from this one, in any case, or "" if all
// differ too much to be meant: by more than one in four letters, or one of less.
func To(word string, words []string) string {
	if len(word) > maxWordBytes {
		return ""
	}
	best, bestDistance := "", max(len(word)/4, 1)+1
	lower := strings.ToLower(word)
	for _, w := range words {
		if difference := len(w) - len(word); difference >= bestDistance || -difference >= bestDistance {
			continue
		}
		if d := distance(lower, strings.ToLower(w)); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

// Hint words a question with the word that To returns, to be put after a message: "" if
// there is none.
func Hint(word string, words []string, quote func(string) string) string {
	if w := To(word, words); w != "" {
		return " (did you mean " + quote(w) + "?)"
	}
	return ""
}

// distance counts the bytes that have to be put in, left out, changed or swapped with
// their neighbours to make b of a (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

package trial

// maxAligned bounds the table by which two lists are aligned.
const maxAligned = 4_000_000

// Pair is an element of each of two lists; -1: of none.
type Pair struct{ Was, Is int }

// Align pairs what is the same in two lists, in order and as much as possible. Between such pairs, others are
// paired one by one.
func Align(n, m int, same func(was, is int) bool) (equal, others []Pair) {
	head := 0
	for head < min(n, m) && same(head, head) {
		equal = append(equal, Pair{head, head})
		head++
	}
	tail := 0
	for tail < min(n, m)-head && same(n-1-tail, m-1-tail) {
		tail++
	}
	rows, columns := n-head-tail, m-head-tail
	i, j := 0, 0
	gap := func(endI, endJ int) {
		for ; i < endI || j < endJ; i, j = min(i+1, endI), min(j+1, endJ) {
			p := Pair{head + i, head + j}
			if i == endI {
				p.Was = -1
			}
			if j == endJ {
				p.Is = -1
			}
			others = append(others, p)
		}
	}
	if rows*columns <= maxAligned {
		// longest[i][j] is how many pairs rows from i and columns from j can have.
		longest := make([][]int32, rows+1)
		for i := range longest {
			longest[i] = make([]int32, columns+1)
		}
		for i := rows - 1; i >= 0; i-- {
			for j := columns - 1; j >= 0; j-- {
				if same(head+i, head+j) {
					longest[i][j] = longest[i+1][j+1] + 1
				} else {
					longest[i][j] = max(longest[i+1][j], longest[i][j+1])
				}
			}
		}
		for a, b := 0, 0; a < rows && b < columns; {
			switch {
			case same(head+a, head+b):
				gap(a, b)
				equal = append(equal, Pair{head + a, head + b})
				a, b = a+1, b+1
				i, j = a, b
			case longest[a+1][b] >= longest[a][b+1]:
				a++
			default:
				b++
			}
		}
	}
	gap(rows, columns)
	for k := range tail {
		equal = append(equal, Pair{n - tail + k, m - tail + k})
	}
	return equal, others
}

package diag

import "strings"

// Suggest gives the candidate that name is most likely a misspelling of, or "". Candidates are at most a third of the name's
// length away, counted in letters added, left out, replaced, or swapped with their neighbour; or differ in case only. Of equally
// near ones the first is taken.
func Suggest(name string, candidates []string) string {
	best, nearest := "", len(name)/3+1
	for _, candidate := range candidates {
		if candidate == name {
			continue
		}
		if strings.EqualFold(candidate, name) {
			return candidate
		}
		if d := distance(name, candidate, nearest); d < nearest {
			best, nearest = candidate, d
		}
	}
	return best
}

// distance is the number of edits between a and b (optimal string alignment), or limit if there are that many or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	// Rows i-2, i-1 and i of the table of distances between prefixes.
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			replaced := above[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least >= limit+1 {
			return limit
		}
		before, above, row = above, row, before
	}
	return min(above[len(b)], limit)
}

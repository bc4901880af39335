package tokenizer

import "math"

// merges is what byte pair encoding does to the symbols of a word: the pair with the lowest rank becomes one symbol, the leftmost
// first, until no pair has a rank (Sennrich et al. 2016, section 3.2).
type merges map[pair]merged

type pair struct{ left, right int32 }

type merged struct{ rank, symbol int32 }

// shortWord is the length up to which looking through all pairs for each merge is faster than a heap.
const shortWord = 48

// merger holds the memory for merging one word at a time.
type merger struct {
	ranks []merged
	links []link
	queue mergeQueue
}

// link is a symbol in the list of a long word; symbol is -1 once it became part of its left neighbour.
type link struct {
	symbol     int32
	prev, next int32
}

// apply merges the symbols of a word in place and gives what is left of them.
func (m *merger) apply(table merges, word []int32) []int32 {
	if len(word) > shortWord {
		return m.long(table, word)
	}
	const none = math.MaxInt32
	m.ranks = m.ranks[:0]
	look := func(i int) merged {
		if i >= 0 && i+1 < len(word) {
			if x, found := table[pair{word[i], word[i+1]}]; found {
				return x
			}
		}
		return merged{rank: none}
	}
	for i := range word {
		m.ranks = append(m.ranks, look(i))
	}
	for {
		best := 0
		for i := range word {
			if m.ranks[i].rank < m.ranks[best].rank {
				best = i
			}
		}
		if len(word) == 0 || m.ranks[best].rank == none {
			return word
		}
		word[best] = m.ranks[best].symbol
		word = append(word[:best+1], word[best+2:]...)
		m.ranks = append(m.ranks[:best+1], m.ranks[best+2:]...)
		m.ranks[best] = look(best)
		if best > 0 {
			m.ranks[best-1] = look(best - 1)
		}
	}
}

// long does the same with a list and a heap of the pairs that may still be merged, in time n log n.
func (m *merger) long(table merges, word []int32) []int32 {
	m.links, m.queue = m.links[:0], m.queue[:0]
	for i, s := range word {
		m.links = append(m.links, link{s, int32(i) - 1, int32(i) + 1})
	}
	n := int32(len(word))
	candidate := func(i int32) (queued, bool) {
		if i < 0 || m.links[i].next >= n {
			return queued{}, false
		}
		p := pair{m.links[i].symbol, m.links[m.links[i].next].symbol}
		x, found := table[p]
		return queued{x, i, p}, found
	}
	for i := range n {
		if q, ok := candidate(i); ok {
			m.queue.push(q)
		}
	}
	for len(m.queue) > 0 {
		q := m.queue.pop()
		l := &m.links[q.at]
		if l.symbol != q.pair.left || l.next >= n || m.links[l.next].symbol != q.pair.right {
			continue // one of the two was merged with another in the meantime
		}
		right := &m.links[l.next]
		l.symbol, right.symbol = q.symbol, -1
		l.next = right.next
		if l.next < n {
			m.links[l.next].prev = q.at
		}
		for _, i := range [2]int32{l.prev, q.at} {
			if q, ok := candidate(i); ok {
				m.queue.push(q)
			}
		}
	}
	word = word[:0]
	for i := int32(0); i < n; i = m.links[i].next {
		word = append(word, m.links[i].symbol)
	}
	return word
}

// queued is a pair that could be merged when it was queued.
type queued struct {
	merged
	at   int32
	pair pair
}

// mergeQueue is a binary heap, the lowest rank and then the leftmost on top. container/heap would allocate for each pair.
type mergeQueue []queued

func (q mergeQueue) less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].at < q[j].at
}

func (q *mergeQueue) push(x queued) {
	*q = append(*q, x)
	for i := len(*q) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.less(i, parent) {
			break
		}
		(*q)[i], (*q)[parent] = (*q)[parent], (*q)[i]
		i = parent
	}
}

func (q *mergeQueue) pop() queued {
	top, last := (*q)[0], len(*q)-1
	(*q)[0], (*q)[last] = (*q)[last], (*q)[0]
	*q = (*q)[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top
		}
		if child+1 < last && q.less(child+1, child) {
			child++
		}
		if !q.less(child, i) {
			return top
		}
		(*q)[i], (*q)[child] = (*q)[child], (*q)[i]
		i = child
	}
}

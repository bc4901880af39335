package generate

import "strings"

// stopper watches text for stop strings. Text that may be the beginning of one is held back.
type stopper struct {
	stops   []string
	pending string
}

// push adds text and gives what can be handed on; stopped says that a stop string was found, of which nothing is handed on.
func (s *stopper) push(text string) (out string, stopped bool) {
	s.pending += text
	first := -1
	for _, stop := range s.stops {
		if at := strings.Index(s.pending, stop); at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	if first >= 0 {
		out, s.pending = s.pending[:first], ""
		return out, true
	}
	hold := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(s.pending)); n > hold; n-- {
			if strings.HasSuffix(s.pending, stop[:n]) {
				hold = n
			}
		}
	}
	out, s.pending = s.pending[:len(s.pending)-hold], s.pending[len(s.pending)-hold:]
	return out, false
}

// flush gives what was held back.
func (s *stopper) flush() string {
	out := s.pending
	s.pending = ""
	return out
}

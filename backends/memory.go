package backends

import "fmt"

// TooLarge is the error of a backend for what does not fit into the memory that it may use. Nothing was allocated for it.
type TooLarge struct {
	What string // that was to be made
	// Need is the memory in bytes that the backend would hold with it, Have what it may hold, and Whose says who bounds it, as
	// the beginning of a sentence that goes on with an amount.
	Need, Have int64
	Whose      string
	// Stats are those of a program that was to be compiled; nil when a storage was to be made.
	Stats *Stats
}

func (e *TooLarge) Error() string {
	const gib = 1 << 30
	return fmt.Sprintf("%s needs %.4g GiB in all, %s %.4g GiB", e.What, float64(e.Need)/gib, e.Whose, float64(e.Have)/gib)
}

//go:build !linux

package cpu

// adviseHugePages does nothing: the system has no such advice, or needs none.
func adviseHugePages([]float32) {}

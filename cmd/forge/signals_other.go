//go:build !unix

package main

// ignoreFileLimit has nothing to do where files have no size limit.
func ignoreFileLimit() {}

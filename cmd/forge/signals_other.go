//go:build !unix

package main

// ignoreSignals has nothing to do where these signals are unknown.
func ignoreSignals() {}

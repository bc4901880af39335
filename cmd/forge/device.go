package main

// deviceNames are the values of --device.
func deviceNames() []string { return []string{"cpu", "reference"} }

package main

import (
	"fmt"
	"maps"
	"slices"

	"forge/backends"
	"forge/backends/cpu"
	"forge/backends/reference"
	"forge/dsl/check"
)

// devices are the backends of this binary by the names that --device and recipes give them.
var devices = map[string]func(threads int) (backends.Backend, error){
	"cpu":       cpu.New,
	"reference": func(int) (backends.Backend, error) { return reference.New(), nil },
}

// deviceNames are the values of --device.
func deviceNames() []string { return slices.Sorted(maps.Keys(devices)) }

// openBackend starts the device of the command line or, without one, of the recipe's run section.
func (a *app) openBackend(run *check.Run) (backends.Backend, error) {
	name := a.device
	if name == "" {
		name = "cpu"
		if run != nil {
			name = run.Device
		}
	}
	open, ok := devices[name]
	if !ok {
		return nil, fmt.Errorf("the recipe asks for the device %s, and this forge has %s; choose one with --device", name, joinComma(deviceNames()))
	}
	return open(a.threads)
}

package main

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"

	"forge/backends"
	"forge/backends/cpu"
	"forge/backends/cpu/kernel"
	"forge/backends/machine"
	"forge/backends/reference"
	"forge/dsl/check"
)

// devices are the backends of this binary by the names that --device and recipes give them.
var devices = map[string]func(cpu.Options) (backends.Backend, error){
	"cpu":       cpu.Open,
	"reference": func(o cpu.Options) (backends.Backend, error) { return reference.Open(o.Memory), nil },
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
	o := cpu.Options{Threads: a.threads, Deterministic: a.deterministic}
	if a.memory != "" {
		o.Memory, _ = machine.ParseSize(a.memory) // checkSharedFlags has read it
	}
	if cores := runtime.GOMAXPROCS(0); name == "cpu" && a.threads > cores {
		a.notef("--threads %d: this process may use %s at once, so the threads take turns; --threads %d would be faster\n",
			a.threads, countOf(cores, "processor", "processors"), cores)
	}
	if name == "cpu" && runtime.GOARCH == "amd64" && kernel.CurrentLevel() == kernel.Portable {
		why := "this processor has no AVX2 with FMA"
		if os.Getenv("FORGE_CPU") != "" {
			why = "FORGE_CPU asks for it"
		}
		a.notef("the kernels are plain Go, because %s: results are as good, and many times slower to come\n", why)
	}
	return open(o)
}

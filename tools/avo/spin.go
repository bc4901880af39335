package main

import (
	. "github.com/mmcloughlin/avo/build"
)

// spinFamily emits the wait instruction used by idle workers.
func spinFamily() {
	routine("pauseAMD64", "func(n int)",
		"pauseAMD64 executes the PAUSE instruction n times (n >= 1).")
	n := Load(Param("n"), GP64())
	Label("again")
	PAUSE()
	DECQ(n)
	JNZ(labelRef("again"))
	RET()
}

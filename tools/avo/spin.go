package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// spinFamily emits the wait instruction used by idle workers, and the
// clock that tells how long they waited.
func spinFamily() {
	routine("pauseAMD64", "func(n int)",
		"pauseAMD64 executes the PAUSE instruction n times (n >= 1).")
	n := Load(Param("n"), GP64())
	Label("again")
	PAUSE()
	DECQ(n)
	JNZ(labelRef("again"))
	RET()

	routine("ticksAMD64", "func() uint64", "ticksAMD64 reads the time-stamp counter.")
	RDTSC()
	SHLQ(U8(32), RDX)
	ORQ(RDX, RAX)
	Store(RAX, ReturnIndex(0))
	RET()
}

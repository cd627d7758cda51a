package main

import "runtime/debug"

// After so many runs, when none is left, what they took of memory is given back at once: the runtime would take minutes.
const restAfter = 200

// rest is called when nothing is left to be killed.
func (k *killer) rest() {
	k.mu.Lock()
	isDue := k.ended >= restAfter && len(k.living)+len(k.sweeping) == 0
	if isDue {
		k.ended = 0
	}
	k.mu.Unlock()
	if isDue && !k.isBusy() {
		debug.FreeOSMemory()
	}
}

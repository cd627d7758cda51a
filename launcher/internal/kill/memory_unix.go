//go:build unix

package kill

import "runtime/debug"

// returnMemoryAfter is how many runs must have ended before memory is given back to the system. The Go runtime would take minutes.
const returnMemoryAfter = 200

// returnMemory is called when nothing is left to be killed.
func (k *Killer) returnMemory() {
	k.mu.Lock()
	isDue := k.endedRuns >= returnMemoryAfter && len(k.running)+len(k.sweeping) == 0
	if isDue {
		k.endedRuns = 0
	}
	k.mu.Unlock()
	if isDue && !k.IsBusy() {
		debug.FreeOSMemory()
	}
}

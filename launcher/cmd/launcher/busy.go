package main

import "time"

// While runs are due, what is told of runs is held: the agent works on whatever it is told, on the processors that the starts need.
// For a moment usually; until a crowd has been started, if that does not take too long.
const (
	holdUsually = 100 * time.Millisecond
	holdInCrowd = 5 * time.Second
)

// isBusy: runs are due, or being started.
func (st *starter) isBusy() bool { return st.due.isBehind() || st.supervisor.reaper.isStarting() }

// holdFor is how long what is told of runs may be held now.
func (st *starter) holdFor() time.Duration {
	switch {
	case st.due.isCrowded():
		return holdInCrowd
	case st.isBusy():
		return holdUsually
	default:
		return 0
	}
}

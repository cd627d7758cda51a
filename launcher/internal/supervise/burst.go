package supervise

import "time"

// While runs are due, events are held back: the agent would handle them on the processors that the starts need. Usually that is for a
// moment. In a burst, it is until all have started, up to holdInBurst.
const (
	holdUsually = 100 * time.Millisecond
	holdInBurst = 5 * time.Second
	// burst is this many waiting runs, the first of them overdue.
	burst = 100
)

// HoldFor is how long events of runs may be held back now.
func (s *Supervisor) HoldFor() time.Duration {
	switch {
	case s.starter.due.isBurst():
		return holdInBurst
	case s.starter.isBusy():
		return holdUsually
	default:
		return 0
	}
}

// isBusy is true while runs are due, or being started.
func (st *starter) isBusy() bool { return st.due.isBehind() || st.supervisor.reaper.IsStarting() }

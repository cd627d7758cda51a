package kill

import (
	"sync"
)

// Reaper waits for every child of this process: the commands, and the orphans that the launcher inherits as their subreaper.
type Reaper struct {
	mu sync.Mutex
	// claims are called with the end of a child that the launcher started.
	claims map[int]func(Exit)
	// starting counts forks whose child may exist and is not claimed yet. What ends meanwhile is kept in `unclaimed`.
	starting  int
	unclaimed map[int]Exit
}

// NewReaper returns a reaper that needs Work.
func NewReaper() *Reaper {
	return &Reaper{claims: map[int]func(Exit){}, unclaimed: map[int]Exit{}}
}

// Begin comes before a fork; Claim or GiveUp comes after it.
func (r *Reaper) Begin() {
	r.mu.Lock()
	r.starting++
	r.mu.Unlock()
}

// GiveUp says that the fork failed.
func (r *Reaper) GiveUp() {
	r.mu.Lock()
	r.endStarting()
	r.mu.Unlock()
}

// IsStarting is true between Begin and Claim: an unclaimed child may be no orphan.
func (r *Reaper) IsStarting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.starting > 0
}

func (r *Reaper) endStarting() {
	if r.starting--; r.starting == 0 {
		clear(r.unclaimed)
	}
}

// isClaimed is false for an orphan.
func (r *Reaper) isClaimed(pid int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claims[pid] != nil
}

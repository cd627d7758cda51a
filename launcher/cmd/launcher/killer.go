package main

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Killed processes can have forked meanwhile: so often it is looked again …
	killRound = 100 * time.Millisecond
	// … for so long.
	killFor = 3 * time.Second
	// After ordinary ends the machine's processes are looked through this rarely …
	sweepAfter = 250 * time.Millisecond
	// … and while runs are due, which must not wait, more rarely still.
	sweepWithin = 2 * time.Second
)

// killer signals whole trees. What left its process group (setsid, a daemon) is looked for in the process table, once for all
// that were asked for meanwhile.
type killer struct {
	reaper *reaper
	wake   chan struct{}
	// isBusy: runs are due.
	isBusy func() bool

	mu sync.Mutex
	// living are the roots of the commands that run.
	living      map[*root]bool
	terminating []*root
	killing     map[*root]time.Time
	sweeping    []*root
	sweepAt     time.Time
	sweepTimer  *time.Timer
	// ended since the last rest.
	ended  int
	isIdle bool
}

func newKiller(reaper *reaper) *killer {
	return &killer{
		reaper: reaper, wake: make(chan struct{}, 1), isBusy: func() bool { return false },
		living: map[*root]bool{}, killing: map[*root]time.Time{}, isIdle: true,
	}
}

// watch: the root's command runs, until `unwatch`.
func (k *killer) watch(r *root) {
	k.mu.Lock()
	k.living[r] = true
	k.mu.Unlock()
}

func (k *killer) unwatch(r *root) {
	k.mu.Lock()
	delete(k.living, r)
	k.ended++
	k.mu.Unlock()
}

// terminate is SIGTERM to all that belongs to the root; who has left its group is remembered.
func (k *killer) terminate(r *root) {
	k.ask(func() { k.terminating = append(k.terminating, r) })
}

// kill is SIGKILL, again and again until nothing of the tree is found.
func (k *killer) kill(r *root) {
	now := time.Now()
	until := now.Add(killFor)
	if r.isSpared(now) {
		until = until.Add(sparedFor)
	}
	k.ask(func() { k.killing[r] = until })
}

// sweep is the same for the leftovers of a run that has ended by itself; there is no hurry.
func (k *killer) sweep(r *root) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.sweeping) == 0 {
		k.sweepAt = time.Now().Add(sweepAfter)
		k.sweepSoon()
	}
	k.sweeping = append(k.sweeping, r)
}

func (k *killer) sweepSoon() {
	if k.sweepTimer == nil {
		k.sweepTimer = time.AfterFunc(sweepAfter, func() { k.ask(func() {}) })
	} else {
		k.sweepTimer.Reset(sweepAfter)
	}
}

func (k *killer) ask(note func()) {
	k.mu.Lock()
	note()
	k.isIdle = false
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// idle waits until nothing is left to be killed; sweeps begin at once.
func (k *killer) idle(patience time.Duration) {
	k.mu.Lock()
	k.sweepAt = time.Time{}
	k.mu.Unlock()
	k.ask(func() {})
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(time.Millisecond) {
		k.mu.Lock()
		isIdle := k.isIdle && len(k.sweeping) == 0
		k.mu.Unlock()
		if isIdle {
			return
		}
	}
}

// work signals until the process ends.
func (k *killer) work() {
	for {
		if k.round() {
			k.rest()
			<-k.wake
			continue
		}
		select {
		case <-k.wake:
		case <-time.After(killRound):
		}
	}
}

// round looks up and signals all that is asked for; true if nothing is left. A tree is looked up before its first process ends:
// orphans have no parent to be known by.
func (k *killer) round() (isIdle bool) {
	began := time.Now()
	k.mu.Lock()
	terminating := k.terminating
	k.terminating = nil
	k.promote()
	var killing []*root
	for root := range k.killing {
		killing = append(killing, root)
	}
	k.isIdle = len(terminating)+len(killing) == 0
	living := make(map[*root]bool, len(k.living))
	for root := range k.living {
		living[root] = true
	}
	k.mu.Unlock()
	if len(terminating)+len(killing) == 0 {
		return true
	}
	uncertain := slices.DeleteFunc(slices.Clone(killing), func(r *root) bool {
		return r.group.isEmpty() && r.isConfined && r.notes == ""
	})
	if len(terminating)+len(uncertain) == 0 {
		return k.settle(killing, nil, began)
	}
	isStarting := k.reaper.isStarting()
	table := processTable()
	if !hasUs(table) {
		signalGroups(terminating, living, unix.SIGTERM)
		signalGroups(killing, living, unix.SIGKILL)
		return false
	}
	terminateMembers(terminating, membersOf(terminating, table, living))
	found := membersOf(uncertain, table, living)
	for _, root := range uncertain {
		killMembers(root, found[root], began)
	}
	if !isStarting {
		k.killOrphans(table)
	}
	return k.settle(killing, found, began)
}

// promote lets the sweep begin, if it is time.
func (k *killer) promote() {
	if len(k.sweeping) == 0 || time.Now().Before(k.sweepAt) {
		return
	}
	if k.isBusy() && time.Since(k.sweepAt) < sweepWithin {
		k.sweepSoon()
		return
	}
	for _, root := range k.sweeping {
		k.killing[root] = time.Now().Add(killFor)
	}
	k.sweeping = nil
}

// settle takes off what is dead, or will not die: that is who was killed in this round, and was asked to be long before it began.
func (k *killer) settle(killing []*root, found map[*root][]process, began time.Time) (isIdle bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, root := range killing {
		isGone := len(found[root]) == 0 && (!root.group.isOver() || root.group.isEmpty())
		if until := k.killing[root]; isGone && root.removeNoted() || began.After(until) {
			delete(k.killing, root)
		}
	}
	k.isIdle = len(k.killing)+len(k.terminating) == 0
	return k.isIdle
}

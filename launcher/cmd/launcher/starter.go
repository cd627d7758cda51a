package main

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Runs are made ready so long before their instant.
	prepareAheadMs = 2_000
	// A thread is awake so long before a run's instant and waits with open eyes: to be woken takes a processor that rests about as long.
	awakeAheadMs = 1
	// Starting is waiting for the kernel: two threads use what one leaves idle.
	mostThreads = 4
	// A thread that takes longer for a start hangs (in a working directory that does not answer): another takes its place …
	stuckAfter = time.Second
	// … so many times.
	mostStuck = 50
)

// starter makes runs ready ahead, and starts them at their instant with as little as possible left to do, in a few threads.
type starter struct {
	supervisor *supervisor
	ahead, due *dueQueue
	// free is for what runs as root; bound for all else, in threads that have given up gaining privileges.
	free, bound chan *entry
	startBound  sync.Once
	// patience and stuck are the due queue's.
	patience *time.Timer
	stuck    int
}

func newStarter(s *supervisor) (*starter, error) {
	st := &starter{supervisor: s, free: make(chan *entry), bound: make(chan *entry), patience: time.NewTimer(0)}
	var err error
	if st.ahead, err = newDueQueue(st.prepare); err != nil {
		return nil, err
	}
	st.due, err = newDueQueue(st.hand)
	return st, err
}

func threads() int { return min(runtime.NumCPU()+1, mostThreads) }

func (st *starter) work() {
	guard(st.ahead.work)
	guard(st.due.work)
	for range threads() {
		guard(st.workFree)
	}
}

func (st *starter) workFree() {
	for e := range st.free {
		st.start(e)
	}
}

// workBound: no_new_privs belongs to a thread, is inherited by what it starts, and cannot be taken back: so the thread is kept
// for nothing else.
func (st *starter) workBound() {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	for e := range st.bound {
		st.start(e)
	}
}

func (st *starter) add(fresh []*entry) {
	for _, e := range fresh {
		st.ahead.add(e, e.at-prepareAheadMs)
	}
}

// prepare: who has to be asked for a user keeps nobody waiting.
func (st *starter) prepare(e *entry) {
	s := st.supervisor
	s.mu.Lock()
	order := e.order
	s.mu.Unlock()
	if order == nil {
		return
	}
	ready := func() {
		command := s.machine.prepare(order)
		s.mu.Lock()
		defer s.mu.Unlock()
		if e.isEnding {
			command.release()
			return
		}
		e.command = command
		st.due.add(e, e.at-awakeAheadMs)
	}
	if isLocalIdentity(order.user, order.group) {
		ready()
	} else {
		guard(ready)
	}
}

func (st *starter) hand(e *entry) {
	s := st.supervisor
	s.mu.Lock()
	command := e.command
	s.mu.Unlock()
	if command == nil {
		return
	}
	if command.isRoot() {
		st.give(e, st.free, st.workFree)
		return
	}
	st.startBound.Do(func() {
		for range threads() {
			guard(st.workBound)
		}
	})
	st.give(e, st.bound, st.workBound)
}

// give waits for a thread that is free, or makes one.
func (st *starter) give(e *entry, to chan<- *entry, work func()) {
	st.patience.Reset(stuckAfter)
	select {
	case to <- e:
		return
	case <-st.patience.C:
	}
	if st.stuck++; st.stuck <= mostStuck {
		logEvent(levelWarn, "start.slow", fields{"run": e.id})
		guard(work)
	}
	to <- e
}

// start begins a run, unless its fence has fallen, or its end was decided meanwhile.
func (st *starter) start(e *entry) {
	s := st.supervisor
	if !waitAwake(e.at) {
		st.due.add(e, e.at-awakeAheadMs)
		return
	}
	command := st.mayStart(e)
	if command == nil {
		return
	}
	s.reaper.begin()
	startedAt := nowMs()
	pid, failure := command.start(s.machine.devNull)
	if failure != nil {
		s.reaper.giveUp()
		s.mu.Lock()
		defer s.mu.Unlock()
		e.isStarting = false
		s.failToStart(e, failure)
		return
	}
	live := st.watch(e, command, pid, startedAt)
	s.mu.Lock()
	e.live, e.isStarting = live, false
	s.tell(startedEvent{"started", e.id, startedAt, pid})
	if e.wanted != nil {
		live.end(*e.wanted)
	}
	s.mu.Unlock()
	s.reaper.claim(pid, func(how exit) {
		record := live.ended(how)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.settle(e, record)
	})
}

// waitAwake returns at the instant, Unix ms; false if the clock was set back meanwhile, and it is not near any more.
func waitAwake(at float64) bool {
	for {
		left := at - float64(time.Now().UnixMicro())/1000
		if left <= 0 || left > 2*awakeAheadMs {
			return left <= 0
		}
	}
}

func (st *starter) mayStart(e *entry) *command {
	s := st.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.fenced && s.fences.isOver(e.session) {
		s.enforce(e.session)
	}
	if e.isEnding {
		return nil
	}
	e.isStarting = true
	return e.command
}

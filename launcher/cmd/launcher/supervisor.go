package main

import (
	"os"
	"path/filepath"
	"sync"
)

// supervisor holds the runs of this machine:
//
//	armed ──its instant──> running ──> ended ──forget──> (gone)
//	  └──cancel, kill, fence, cannot be started──> ended
//
// An end is told when it is on the disk. Its methods may be called from any goroutine.
type supervisor struct {
	machine   *machine
	journal   *journal
	killer    *killer
	reaper    *reaper
	collector *collector
	spoolDir  string
	boot      string
	starter   *starter
	stopped   chan struct{}

	mu      sync.Mutex
	entries map[string]*entry
	arrived uint64
	fences  *fences
	// stopping: told to end when idle, or now.
	isStopping, isStoppingNow bool
	// tell sends to the agent, if there is one.
	tell func(any)
}

func (s *supervisor) cancel(ids []string) {
	s.each(ids, func(e *entry) {
		if e.live == nil && !e.isStarting {
			s.endUnstarted(e, cause{Kind: "cancelled"}, 0)
		}
	})
}

func (s *supervisor) kill(ids []string, reason string) {
	s.each(ids, func(e *entry) {
		if e.order != nil {
			s.end(e, ending{killedBecause(reason), e.order.graceMs})
		}
	})
}

// each calls `act` with those that are known, and tells of those that are not.
func (s *supervisor) each(ids []string, act func(*entry)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if e := s.entries[id]; e != nil {
			act(e)
		} else {
			s.tell(event{"unknown", id})
		}
	}
}

func (s *supervisor) fence(session string, until float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fences.set(session, until)
	if s.fences.isOver(session) {
		s.enforce(session)
	}
}

// watchFences enforces each fence when it falls, until the process ends.
func (s *supervisor) watchFences() {
	for {
		s.mu.Lock()
		for _, session := range s.fences.over() {
			s.enforce(session)
		}
		s.mu.Unlock()
		s.fences.alarm.wait()
	}
}

// enforce drops the armed runs of a session and kills the running ones without grace. Both rules are needed: without either, a
// process lives on after its run was buried.
func (s *supervisor) enforce(session string) {
	for _, e := range s.inOrder() {
		isArmed := e.live == nil && !e.isStarting
		if e.session != session || !e.fenced || e.isEnding || isArmed && !dropsArmed {
			continue
		}
		s.end(e, ending{cause: cause{Kind: "fenced"}, graceMs: fenceGraceMs(e.order)})
	}
}

// forget touches the disk without the lock, which whoever starts runs needs; and before the runs are gone: what is armed under the
// same id afterwards finds nothing of them, and loses nothing.
func (s *supervisor) forget(ids []string) {
	going := s.letGo(ids)
	if len(going) == 0 {
		return
	}
	gone := make([]string, 0, len(going))
	for _, e := range going {
		_ = os.Remove(filepath.Join(s.spoolDir, spoolName(e.id)))
		_ = os.Remove(filepath.Join(s.machine.notesDir, spoolName(e.id)))
		gone = append(gone, e.id)
	}
	s.journal.forgotten(gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range gone {
		delete(s.entries, id)
	}
	if s.fences.areSeveral() {
		sessions := map[string]bool{}
		for _, e := range s.entries {
			sessions[e.session] = true
		}
		s.fences.keep(func(session string) bool { return sessions[session] })
	}
}

// letGo marks those that have ended, so that nobody reads of them any more, nor forgets them a second time.
func (s *supervisor) letGo(ids []string) (going []*entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if e := s.entries[id]; e != nil && e.record != nil && !e.isGoing {
			e.isGoing = true
			going = append(going, e)
		}
	}
	return going
}

func (s *supervisor) stop(whenIdle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isStopping = true
	if !whenIdle {
		s.isStoppingNow = true
		for _, e := range s.inOrder() {
			s.end(e, ending{cause: killedBecause("Stopped")})
		}
	}
	s.stopIfIdle()
}

func (s *supervisor) stopIfIdle() {
	if !s.isStopping {
		return
	}
	for _, e := range s.entries {
		if e.record == nil {
			return
		}
	}
	select {
	case <-s.stopped:
	default:
		close(s.stopped)
	}
}

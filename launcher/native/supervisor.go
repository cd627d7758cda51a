package main

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
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

// admitLeft takes what has ended under an earlier launcher and is not forgotten.
func (s *supervisor) admitLeft(line endedLine) {
	var record exitRecord
	if json.Unmarshal(line.Record, &record) != nil {
		return
	}
	s.admit(&entry{
		id: record.ID, session: record.Session, at: line.At, fenced: line.Fenced, labels: record.Labels, isEnding: true,
		record: line.Record,
	})
}

func (s *supervisor) admit(e *entry) {
	e.arrival = s.arrived
	s.arrived++
	s.entries[e.id] = e
}

// inOrder is all runs as they came.
func (s *supervisor) inOrder() []*entry {
	all := make([]*entry, 0, len(s.entries))
	for _, e := range s.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.arrival, b.arrival) })
	return all
}

func (s *supervisor) get(id string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[id]
}

func (s *supervisor) hasEnded(e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.record != nil
}

func (s *supervisor) arm(orders []json.RawMessage) {
	var fresh []*entry
	s.mu.Lock()
	for _, raw := range orders {
		order, refused := parseArm(raw)
		if refused == nil {
			refused = s.unsupported(order)
		}
		if refused != nil {
			s.refuse(order.id, refused)
		} else if known := s.entries[order.id]; known != nil {
			s.tell(known.latest())
		} else if refused = s.refusal(order.session); refused != nil {
			s.refuse(order.id, refused)
		} else {
			e := newEntry(order)
			s.admit(e)
			s.tell(event{"armed", e.id})
			fresh = append(fresh, e)
		}
	}
	s.mu.Unlock()
	s.starter.add(fresh)
}

// unsupported: what this machine cannot do is refused, never left out silently.
func (s *supervisor) unsupported(order *arm) *refusal {
	if order.resources != nil && !s.machine.cgroups.canLimit() {
		return &refusal{"Unsupported", "this launcher has no resources: no cgroup that it may write has all of cpu, memory and pids"}
	}
	return nil
}

func (s *supervisor) refusal(session string) *refusal {
	if s.isStoppingNow {
		return &refusal{"Stopping", "this launcher ends"}
	}
	return s.fences.refusal(session)
}

func (s *supervisor) refuse(id string, why *refusal) {
	s.tell(refusedEvent{"refused", id, why.reason, why.message})
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

// enforce drops what is armed, and kills without grace what runs. Either is needed (protocol_model.py): without, a process lives
// on after its run was buried.
func (s *supervisor) enforce(session string) {
	for _, e := range s.inOrder() {
		if e.session == session && e.fenced {
			s.end(e, ending{cause: cause{Kind: "fenced"}})
		}
	}
}

func (s *supervisor) forget(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gone []string
	for _, id := range ids {
		if e := s.entries[id]; e != nil && e.record != nil {
			delete(s.entries, id)
			_ = os.Remove(filepath.Join(s.spoolDir, spoolName(id)))
			gone = append(gone, id)
		}
	}
	if len(gone) == 0 {
		return
	}
	s.journal.forgotten(gone)
	sessions := map[string]bool{}
	for _, e := range s.entries {
		sessions[e.session] = true
	}
	s.fences.keep(func(session string) bool { return sessions[session] })
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

// killAllNow is for when the launcher breaks: nobody will be there to enforce deadlines and fences. It takes no lock, which who
// broke may hold.
func (s *supervisor) killAllNow() {
	for pid := range s.reaper.claims {
		_ = unix.Kill(-pid, unix.SIGKILL)
	}
}

package main

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"slices"
)

// admitLeft takes what has ended under an earlier launcher and is not forgotten.
func (s *supervisor) admitLeft(line endedLine) {
	var record exitRecord
	if json.Unmarshal(line.Record, &record) != nil {
		return
	}
	if record.Tail == "" && record.hasOutput() && record.StartedAt != nil {
		record.Tail = recoverTail(filepath.Join(s.spoolDir, spoolName(record.ID)), *record.StartedAt, record.EndedAt)
	}
	s.admit(&entry{
		id: record.ID, session: record.Session, at: line.At, fenced: line.Fenced, labels: record.Labels, isEnding: true,
		record: encodeRecord(&record), kept: record.kept(),
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
	if e := s.entries[id]; e != nil && !e.isGoing {
		return e
	}
	return nil
}

// keptOf is how many bytes of output were kept of a run that has ended; of one that is being forgotten, none.
func (s *supervisor) keptOf(e *entry) (bytes int64, hasEnded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.isGoing {
		return 0, true
	}
	return e.kept, e.record != nil
}

func (s *supervisor) arm(orders []json.RawMessage) {
	var fresh []*entry
	for _, raw := range orders {
		order, refused := parseArm(raw)
		if refused == nil {
			refused = s.unsupported(order)
		}
		if e := s.take(order, refused); e != nil {
			fresh = append(fresh, e)
		}
	}
	s.announce(fresh)
	s.starter.add(fresh)
}

// announce lets the next launcher find what this one starts, however soon it dies.
func (s *supervisor) announce(fresh []*entry) {
	var lines []armedLine
	for _, e := range fresh {
		s.mu.Lock()
		order := e.order
		s.mu.Unlock()
		if order != nil && (order.mark != "" || order.notes) {
			lines = append(lines, armedLine{"armed", e.id, s.boot, order.mark})
		}
	}
	if len(lines) > 0 {
		s.journal.armed(lines)
	}
}

// take admits an order if it is new and its session may arm. One that is known is told again.
func (s *supervisor) take(order *arm, refused *refusal) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.entries[order.id]; refused == nil && known != nil {
		s.tell(known.latest())
		return nil
	}
	if refused == nil {
		refused = s.refusal(order.session)
	}
	if refused != nil {
		s.tell(refusedEvent{"refused", order.id, refused.reason, refused.message})
		return nil
	}
	e := newEntry(order)
	s.admit(e)
	s.tell(event{"armed", e.id})
	return e
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

package supervise

import (
	"cmp"
	"encoding/json"
	"slices"

	"shellcron.dev/launcher/internal/journal"
	"shellcron.dev/launcher/internal/spool"
	"shellcron.dev/launcher/internal/wire"
)

// Arm admits runs that are new and whose session may arm.
func (s *Supervisor) Arm(orders []json.RawMessage) {
	var admitted []*run
	for _, raw := range orders {
		order, refused := wire.ParseArm(raw)
		if refused == nil {
			if message := s.preparer.Unsupported(order); message != "" {
				refused = &wire.Refusal{Reason: "Unsupported", Message: message}
			}
		}
		if r := s.decide(order, refused); r != nil {
			admitted = append(admitted, r)
		}
	}
	s.journalArmed(admitted)
	s.starter.add(admitted)
}

// decide admits or refuses an order, and reports that. The latest event of a known run is reported again.
func (s *Supervisor) decide(order *wire.Arm, refused *wire.Refusal) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.runs[order.ID]; refused == nil && known != nil {
		s.report(known.latestEvent())
		return nil
	}
	if refused == nil {
		refused = s.sessionRefusal(order.Session)
	}
	if refused != nil {
		s.report(wire.Refused{Type: "refused", ID: order.ID, Reason: refused.Reason, Message: refused.Message})
		return nil
	}
	r := newRun(order)
	s.admit(r)
	s.report(wire.Event{Type: "armed", ID: r.id})
	return r
}

func (s *Supervisor) sessionRefusal(session string) *wire.Refusal {
	if s.isStoppingNow {
		return &wire.Refusal{Reason: "Stopping", Message: "this launcher ends"}
	}
	return s.fences.refusal(session)
}

// journalArmed lets the next launcher find what this one starts, however soon this one dies.
func (s *Supervisor) journalArmed(admitted []*run) {
	var lines []journal.Armed
	for _, r := range admitted {
		s.mu.Lock()
		order := r.order
		s.mu.Unlock()
		if order != nil && (order.Mark != "" || order.Notes) {
			lines = append(lines, journal.Armed{ID: r.id, Boot: s.bootID, Mark: order.Mark})
		}
	}
	if len(lines) > 0 {
		s.journal.Armed(lines)
	}
}

// admitEnded takes over a run that ended under an earlier launcher and is not forgotten.
func (s *Supervisor) admitEnded(line journal.Ended) {
	var record wire.ExitRecord
	if json.Unmarshal(line.Record, &record) != nil {
		return
	}
	if record.Tail == "" && record.HasOutput() && record.StartedAt != nil {
		record.Tail = spool.RecoverTail(s.spoolPath(record.ID), *record.StartedAt, record.EndedAt)
	}
	s.admit(&run{
		id: record.ID, session: record.Session, at: line.At, fenced: line.Fenced, labels: record.Labels, isEnding: true,
		record: record.Encode(), spooledBytes: record.SpooledBytes(),
	})
}

func (s *Supervisor) admit(r *run) {
	r.arrival = s.arrived
	s.arrived++
	s.runs[r.id] = r
}

// inOrder returns all runs in the order of their arrival.
func (s *Supervisor) inOrder() []*run {
	all := make([]*run, 0, len(s.runs))
	for _, r := range s.runs {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *run) int { return cmp.Compare(a.arrival, b.arrival) })
	return all
}

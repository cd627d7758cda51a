package supervise

import (
	"shellcron.dev/launcher/internal/clock"
	"shellcron.dev/launcher/internal/journal"
	"shellcron.dev/launcher/internal/start"
	"shellcron.dev/launcher/internal/wire"
)

// end is what a kill, a fence and a stop do to a run in any state.
func (s *Supervisor) end(r *run, how ending) {
	switch {
	case r.isEnding:
	case r.execution != nil:
		r.execution.end(how)
	case r.isStarting:
		r.endAfterStart(how)
	default:
		s.endUnstarted(r, how.cause, 0)
	}
}

// endUnstarted records an end without a start. A code of 0 is none.
func (s *Supervisor) endUnstarted(r *run, why wire.Cause, code int) {
	if r.isEnding {
		return
	}
	if r.command != nil {
		r.command.Release()
	}
	record := &wire.ExitRecord{Cause: why, EndedAt: clock.NowMs()}
	if code != 0 {
		record.Code = &code
	}
	s.settle(r, record)
}

func (s *Supervisor) failToStart(r *run, failure *start.Failure) {
	s.endUnstarted(r, wire.StartFailed(failure.Reason, failure.Message), failure.Code)
}

// settle writes the end to the journal, and reports it when it is on the disk.
func (s *Supervisor) settle(r *run, record *wire.ExitRecord) {
	r.isEnding = true
	record.ID, record.Session, record.Labels = r.id, r.session, r.labels
	encoded := record.Encode()
	line := journal.Ended{At: r.at, Fenced: r.fenced, Record: record.EncodeWithoutTail()}
	s.journal.Ended(r.id, line, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		r.record, r.spooledBytes = encoded, record.SpooledBytes()
		r.order, r.command, r.execution = nil, nil, nil
		s.report(wire.Ended{Type: "ended", ID: r.id, Record: encoded})
		r.changed.notify()
		s.stopIfIdle()
	})
}

package main

// end is what a kill, a fence and a stop do to a run in whatever state it is.
func (s *supervisor) end(e *entry, how ending) {
	switch {
	case e.isEnding:
	case e.live != nil:
		e.live.end(how)
	case e.isStarting:
		e.want(how)
	default:
		s.endUnstarted(e, how.cause, 0)
	}
}

// endUnstarted: `code` 0 is none.
func (s *supervisor) endUnstarted(e *entry, why cause, code int) {
	if e.isEnding {
		return
	}
	if e.command != nil {
		e.command.release()
	}
	record := &exitRecord{Cause: why, EndedAt: nowMs()}
	if code != 0 {
		record.Code = &code
	}
	s.settle(e, record)
}

func (s *supervisor) failToStart(e *entry, failure *startFailure) {
	why := cause{Kind: "startFailed", Reason: &failure.reason, Message: &failure.message}
	s.endUnstarted(e, why, failure.code)
}

// settle tells the end when it is on the disk.
func (s *supervisor) settle(e *entry, record *exitRecord) {
	e.isEnding = true
	record.ID, record.Session, record.Labels = e.id, e.session, e.labels
	encoded := encodeRecord(record)
	s.journal.ended(e.id, endedLine{"ended", e.at, e.fenced, record.journalled()}, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		e.record, e.kept, e.order, e.command, e.live = encoded, record.kept(), nil, nil, nil
		s.tell(endedEvent{"ended", e.id, encoded})
		e.changed.ring()
		s.stopIfIdle()
	})
}

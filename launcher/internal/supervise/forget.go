package supervise

import "os"

// Forget removes ended runs. It touches the disk without the lock, which the starts need. It does so before the runs are gone: a run
// that is armed later under the same id must find nothing of them, and lose nothing.
func (s *Supervisor) Forget(ids []string) {
	forgetting := s.beginForgetting(ids)
	if len(forgetting) == 0 {
		return
	}
	gone := make([]string, 0, len(forgetting))
	for _, r := range forgetting {
		_ = os.Remove(s.spoolPath(r.id))
		_ = os.Remove(s.notesPath(r.id))
		gone = append(gone, r.id)
	}
	s.journal.Forgotten(gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range gone {
		delete(s.runs, id)
	}
	if s.fences.areSeveral() {
		sessions := map[string]bool{}
		for _, r := range s.runs {
			sessions[r.session] = true
		}
		s.fences.keep(func(session string) bool { return sessions[session] })
	}
}

// beginForgetting marks runs that have ended, so that they are neither read nor forgotten a second time.
func (s *Supervisor) beginForgetting(ids []string) (marked []*run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if r := s.runs[id]; r != nil && r.record != nil && !r.isForgetting {
			r.isForgetting = true
			marked = append(marked, r)
		}
	}
	return marked
}

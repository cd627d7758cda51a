package supervise

import (
	"math"

	"shellcron.dev/launcher/internal/clock"
	"shellcron.dev/launcher/internal/wire"
)

// Fence sets until when a session's runs may live, in ms of the boot clock.
func (s *Supervisor) Fence(session string, until float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fences.set(session, until)
	if s.fences.isOver(session) {
		s.enforce(session)
	}
}

// watchFences enforces each fence at its time, until the process ends.
func (s *Supervisor) watchFences() {
	for {
		s.mu.Lock()
		for _, session := range s.fences.over() {
			s.enforce(session)
		}
		s.mu.Unlock()
		s.fences.alarm.Wait()
	}
}

// enforce drops the armed runs of a session and kills the running ones without grace. Both rules are needed: without either, a
// process lives on after its run was buried.
func (s *Supervisor) enforce(session string) {
	for _, r := range s.inOrder() {
		if r.session != session || !r.fenced || r.isEnding || r.isArmed() && !dropsArmed {
			continue
		}
		s.end(r, ending{cause: wire.Cause{Kind: "fenced"}, graceMs: fenceGraceMs(r.order)})
	}
}

// fences say until when each session's runs may live. Only the session that was named last may arm. The fence of an older session
// stays as it was, for the runs that the session has left. The supervisor's lock guards them.
type fences struct {
	until   map[string]float64
	current string
	isSet   bool
	alarm   *clock.Alarm
}

func newFences() (*fences, error) {
	alarm, err := clock.NewBoottimeAlarm()
	return &fences{until: map[string]float64{}, alarm: alarm}, err
}

func (f *fences) set(session string, until float64) {
	f.current, f.isSet = session, true
	f.until[session] = until
	f.setAlarm()
}

func (f *fences) isOver(session string) bool { return f.until[session] <= clock.BoottimeMs() }

// refusal is why a session may not arm now; nil if it may.
func (f *fences) refusal(session string) *wire.Refusal {
	if !f.isSet || session != f.current {
		current := "(none)"
		if f.isSet {
			current = f.current
		}
		return &wire.Refusal{Reason: "WrongSession", Message: "the last fence is that of session " + current}
	}
	if f.isOver(session) {
		return &wire.Refusal{Reason: "Fenced", Message: "the fence of this session has passed"}
	}
	return nil
}

// areSeveral is true if there is a fence of an earlier session.
func (f *fences) areSeveral() bool { return len(f.until) > 1 }

// keep drops all fences but the current session's and those of sessions in use.
func (f *fences) keep(isInUse func(session string) bool) {
	for session := range f.until {
		if session != f.current && !isInUse(session) {
			delete(f.until, session)
		}
	}
}

// over returns the sessions whose fence has passed, and sets the alarm for the next one.
func (f *fences) over() []string {
	var over []string
	for session := range f.until {
		if f.isOver(session) {
			over = append(over, session)
		}
	}
	f.setAlarm()
	return over
}

func (f *fences) setAlarm() {
	next, now := math.Inf(1), clock.BoottimeMs()
	for _, until := range f.until {
		if until > now {
			next = math.Min(next, until)
		}
	}
	f.alarm.Set(next)
}

package main

import (
	"math"

	"golang.org/x/sys/unix"
)

// fences say until when each session's runs may live, on CLOCK_BOOTTIME. Only the session named last may arm; an older one's
// fence stays as it was, for its runs that are left. The supervisor's lock guards them.
type fences struct {
	until   map[string]float64
	current string
	isSet   bool
	alarm   *alarm
}

func newFences() (*fences, error) {
	alarm, err := newAlarm(unix.CLOCK_BOOTTIME)
	return &fences{until: map[string]float64{}, alarm: alarm}, err
}

func (f *fences) set(session string, until float64) {
	f.current, f.isSet = session, true
	f.until[session] = until
	f.wind()
}

func (f *fences) isOver(session string) bool { return f.until[session] <= boottimeMs() }

// refusal is why a session may not arm now.
func (f *fences) refusal(session string) *refusal {
	if !f.isSet || session != f.current {
		current := "(none)"
		if f.isSet {
			current = f.current
		}
		return &refusal{"WrongSession", "the last fence is that of session " + current}
	}
	if f.isOver(session) {
		return &refusal{"Fenced", "the fence of this session has fallen"}
	}
	return nil
}

// areSeveral: there is one of an earlier session.
func (f *fences) areSeveral() bool { return len(f.until) > 1 }

// keep drops all but the current session's and those in use.
func (f *fences) keep(inUse func(session string) bool) {
	for session := range f.until {
		if session != f.current && !inUse(session) {
			delete(f.until, session)
		}
	}
}

// over are the sessions whose fence has fallen; the alarm is set for the next one.
func (f *fences) over() []string {
	var over []string
	for session := range f.until {
		if f.isOver(session) {
			over = append(over, session)
		}
	}
	f.wind()
	return over
}

func (f *fences) wind() {
	next, now := math.Inf(1), boottimeMs()
	for _, until := range f.until {
		if until > now {
			next = math.Min(next, until)
		}
	}
	f.alarm.set(next)
}

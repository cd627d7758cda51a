//go:build !linux

package clock

import (
	"math"
	"sync"
	"time"
)

// lookEvery bounds how late an alarm notices that its clock was set or that the machine was suspended.
const lookEvery = 250 * time.Millisecond

// Alarm wakes at an instant of a clock. It compares the clock with the instant four times a second at least, as a timer of the
// runtime stands still while the machine is suspended.
type Alarm struct {
	now func() float64
	set chan struct{}

	mu sync.Mutex
	at float64
}

// NewWallAlarm returns an alarm on the wall clock.
func NewWallAlarm() (*Alarm, error) {
	return newAlarm(func() float64 { return float64(time.Now().UnixMicro()) / 1000 }), nil
}

// NewBoottimeAlarm returns an alarm on the boot clock.
func NewBoottimeAlarm() (*Alarm, error) { return newAlarm(BoottimeMs), nil }

func newAlarm(now func() float64) *Alarm {
	return &Alarm{now: now, set: make(chan struct{}, 1), at: math.Inf(1)}
}

// Set replaces the instant, in ms of the alarm's clock. Infinity is never.
func (a *Alarm) Set(at float64) {
	a.mu.Lock()
	isSame := a.at == at
	a.at = at
	a.mu.Unlock()
	if isSame {
		return
	}
	select {
	case a.set <- struct{}{}:
	default:
	}
}

// Wait returns at the instant, or when Set has changed it. The caller checks the clock.
func (a *Alarm) Wait() {
	for {
		a.mu.Lock()
		left := a.at - a.now()
		if left <= 0 {
			a.at = math.Inf(1)
		}
		a.mu.Unlock()
		if left <= 0 {
			return
		}
		select {
		case <-a.set:
			return
		case <-time.After(min(Duration(math.Ceil(left)), lookEvery)):
		}
	}
}

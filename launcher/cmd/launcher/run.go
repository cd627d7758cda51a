package main

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A pipe that a grandchild holds open is given up when nothing came for so long …
	quietFor = 250 * time.Millisecond
	// … or in any case so long after the command's end.
	longestDrain = 2 * time.Second
	drainStep    = 25 * time.Millisecond
)

// run is a command while it runs:
//
//	started ──deadline, kill──> SIGTERM ──grace──> SIGKILL ──┐
//	   │ └──────────fence────────────────────────> SIGKILL ──┤
//	   └─────────────────────exits───────────────────────────┴──> the rest of its tree killed, output drained, ended
//
// The first cause of an end is the one that is recorded.
type run struct {
	root      *root
	startedAt int64
	command   *command
	output    *output
	killer    *killer
	collector *collector

	mu           sync.Mutex
	cause        *cause
	isTerminated bool
	isKilled     bool
	isOver       bool
	timers       []*time.Timer
}

// begin sets the deadline; the command has just started.
func (r *run) begin() {
	order := r.command.order
	if order.deadlineMs >= 0 {
		r.mu.Lock()
		r.after(order.deadlineMs, func() { r.end(ending{cause{Kind: "timedOut"}, order.graceMs}) })
		r.mu.Unlock()
	}
	if io := r.command.stdio; io.input != nil {
		guard(io.feed)
	}
}

// end is SIGTERM to the whole tree and SIGKILL after the grace, to who runs something elsewhere after that; without grace SIGKILL at
// once. Repeating it does no harm.
func (r *run) end(how ending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isOver {
		return
	}
	if r.cause == nil {
		r.cause = &how.cause
	}
	if how.graceMs <= 0 {
		// Also who was killed before, but spared.
		r.root.sparedUntil.Store(nil)
		r.isKilled = true
		r.killer.kill(r.root)
	} else if !r.isTerminated {
		r.isTerminated = true
		r.killer.terminate(r.root)
		r.after(how.graceMs, r.endGrace)
	}
}

func (r *run) endGrace() {
	// Read before, as whoever wants to end the run waits for the lock.
	runsElsewhere := len(r.root.noted()) > 0
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isKilled || r.isOver {
		return
	}
	if runsElsewhere {
		r.root.spare()
	}
	r.isKilled = true
	r.killer.kill(r.root)
}

func (r *run) after(duration float64, act func()) {
	r.timers = append(r.timers, time.AfterFunc(ms(duration), func() { rescue(act) }))
}

// ended is called when the command has exited, and returns when its output is in the spool.
func (r *run) ended(how exit) *exitRecord {
	r.mu.Lock()
	r.isOver = true
	for _, timer := range r.timers {
		timer.Stop()
	}
	ended := r.cause
	r.mu.Unlock()
	r.killer.unwatch(r.root)
	group := r.command.group
	oom := group.wasOom()
	group.end()
	told := r.root.note()
	if ended != nil {
		r.killer.kill(r.root)
	} else {
		r.killer.sweep(r.root)
	}
	r.root.clearNoted()
	r.drain()
	if input := r.command.stdio.input; input != nil {
		_ = input.Close()
	}
	record := &exitRecord{EndedAt: how.at, StartedAt: &r.startedAt, Oom: oom, Told: told, written: r.output.finish()}
	describe(record, how, ended)
	return record
}

// drain returns when nothing more is to be expected from who still holds a pipe after the command's end.
func (r *run) drain() {
	select {
	case <-r.output.done:
		return
	case <-time.After(drainStep):
	}
	if r.output.isHeld() {
		r.killer.kill(r.root)
	}
	for until := time.Now().Add(longestDrain); time.Now().Before(until) && !r.output.isQuiet(quietFor); {
		select {
		case <-r.output.done:
			return
		case <-time.After(drainStep):
		}
	}
}

func describe(record *exitRecord, how exit, ended *cause) {
	own := cause{Kind: "exited"}
	if how.status.Signaled() {
		name := signalName(how.status.Signal())
		record.Signal = &name
		own = cause{Kind: "signaled", Signal: &name}
	} else {
		code := how.status.ExitStatus()
		record.Code = &code
		own.Code = &code
	}
	record.Cause = own
	if ended != nil {
		record.Cause = *ended
	}
	record.Rusage = &rusage{
		UserMs:      how.usage.Utime.Nano() / int64(time.Millisecond),
		SystemMs:    how.usage.Stime.Nano() / int64(time.Millisecond),
		MaxRssBytes: how.usage.Maxrss * 1024,
	}
}

// signalName is as SIGKILL; of the real-time ones, which have none, SIGRTMIN+n.
func signalName(number syscall.Signal) string {
	if name := unix.SignalName(number); name != "" {
		return name
	}
	const firstRealTime = 34
	return "SIGRTMIN+" + itoa(int(number)-firstRealTime)
}

package supervise

import (
	"sync"
	"time"

	"shellcron.dev/launcher/internal/clock"
	"shellcron.dev/launcher/internal/crash"
	"shellcron.dev/launcher/internal/kill"
	"shellcron.dev/launcher/internal/start"
	"shellcron.dev/launcher/internal/stdio"
	"shellcron.dev/launcher/internal/wire"
)

const (
	// After the command's end, a pipe that a grandchild holds open is given up when nothing came for quietFor …
	quietFor = 250 * time.Millisecond
	// … and in any case after longestDrain.
	longestDrain = 2 * time.Second
	drainStep    = 25 * time.Millisecond
)

// execution is a command while it runs:
//
//	started ──deadline, kill──> SIGTERM ──grace──> SIGKILL ──┐
//	   │ └──────────fence────────────────────────> SIGKILL ──┤
//	   └─────────────────────exits───────────────────────────┴──> rest of its tree killed, output drained, ended
//
// The first cause of an end is the one that is recorded.
type execution struct {
	tree      *kill.Tree
	startedAt int64
	command   *start.Command
	output    *stdio.Output
	killer    *kill.Killer

	mu           sync.Mutex
	cause        *wire.Cause
	isTerminated bool
	isKilled     bool
	isOver       bool
	timers       []*time.Timer
}

// begin sets the deadline and feeds stdin. The command has just started.
func (e *execution) begin() {
	order := e.command.Order()
	if order.DeadlineMs >= 0 {
		e.mu.Lock()
		e.after(order.DeadlineMs, func() { e.end(ending{wire.Cause{Kind: "timedOut"}, order.GraceMs}) })
		e.mu.Unlock()
	}
	if streams := e.command.Streams(); streams.HasInput() {
		crash.Go(streams.Feed)
	}
}

// end sends SIGTERM to the whole tree, and SIGKILL after the grace; without a grace, SIGKILL at once. It may be repeated.
func (e *execution) end(how ending) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isOver {
		return
	}
	if e.cause == nil {
		e.cause = &how.cause
	}
	if how.graceMs <= 0 {
		// A command that an earlier kill spared is not spared any more.
		e.tree.DoNotSpare()
		e.isKilled = true
		e.killer.Kill(e.tree)
	} else if !e.isTerminated {
		e.isTerminated = true
		e.killer.Terminate(e.tree)
		e.after(how.graceMs, e.endGrace)
	}
}

// endGrace kills. If the run has processes in control groups that it named, the command itself is killed a little later.
func (e *execution) endGrace() {
	// Read without the lock, which others wait for to end the run.
	runsElsewhere := e.tree.RunsElsewhere()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isKilled || e.isOver {
		return
	}
	if runsElsewhere {
		e.tree.Spare()
	}
	e.isKilled = true
	e.killer.Kill(e.tree)
}

func (e *execution) after(ms float64, act func()) {
	e.timers = append(e.timers, time.AfterFunc(clock.Duration(ms), func() { crash.Run(act) }))
}

// ended is called when the command has exited. It returns when the output is in the spool.
func (e *execution) ended(exit kill.Exit) *wire.ExitRecord {
	e.mu.Lock()
	e.isOver = true
	for _, timer := range e.timers {
		timer.Stop()
	}
	cause := e.cause
	e.mu.Unlock()
	e.killer.Unwatch(e.tree)
	group := e.command.Group()
	oom := group.WasOOM()
	group.Release()
	told := e.tree.CloseNotes()
	if cause != nil {
		e.killer.Kill(e.tree)
	} else {
		e.killer.Sweep(e.tree)
	}
	e.tree.ClearNamed()
	e.drain()
	e.command.Streams().CloseInput()
	record := &wire.ExitRecord{EndedAt: exit.At, StartedAt: &e.startedAt, Oom: oom, Told: told, Written: e.output.Finish()}
	describe(record, exit, cause)
	return record
}

// drain returns when no more output is expected from processes that hold a pipe open after the command's end.
func (e *execution) drain() {
	select {
	case <-e.output.Done:
		return
	case <-time.After(drainStep):
	}
	if e.output.IsHeld() {
		e.killer.Kill(e.tree)
	}
	for until := time.Now().Add(longestDrain); time.Now().Before(until) && !e.output.IsQuiet(quietFor); {
		select {
		case <-e.output.Done:
			return
		case <-time.After(drainStep):
		}
	}
}

// describe records how the process ended. `cause` is what ended the run before that, or nil.
func describe(record *wire.ExitRecord, exit kill.Exit, cause *wire.Cause) {
	own := wire.Cause{Kind: "exited", Code: &exit.Code}
	if exit.Signal != "" {
		own = wire.Cause{Kind: "signaled", Signal: &exit.Signal}
	}
	record.Code, record.Signal, record.Rusage = own.Code, own.Signal, exit.Rusage
	record.Cause = own
	if cause != nil {
		record.Cause = *cause
	}
}

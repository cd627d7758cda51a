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
	// During a grace, the rest of the tree is looked for after firstLook, and then less and less often.
	firstLook   = 10 * time.Millisecond
	longestLook = 200 * time.Millisecond
)

// execution is a command while it runs:
//
//	started ──deadline, kill──> SIGTERM ──its tree has ended, or grace, SIGKILL──┐
//	   │ └──────────fence──────────────────────────────────────────────SIGKILL──┤
//	   └─────────────────────exits──────────────────────────────────────────────┴──> rest of its tree killed, output drained, ended
//
// The first cause of an end is the one that is recorded. A command that exits during the grace does not end it: the rest of its tree
// still has its time.
type execution struct {
	tree      *kill.Tree
	startedAt int64
	command   *start.Command
	output    *stdio.Output
	killer    *kill.Killer

	mu           sync.Mutex
	cause        *wire.Cause
	isTerminated bool
	// killed is closed at SIGKILL.
	killed   chan struct{}
	isKilled bool
	// hasExited: the command has ended. isOver: so has its tree, or its time has.
	hasExited, isOver bool
	timers            []*time.Timer
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
	if e.cause == nil && !e.hasExited {
		e.cause = &how.cause
	}
	if how.graceMs <= 0 {
		// A command that an earlier kill spared is not spared any more.
		e.tree.DoNotSpare()
		e.kill()
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
	if runsElsewhere && !e.hasExited {
		e.tree.Spare()
	}
	e.kill()
}

// kill sends SIGKILL. The lock is held.
func (e *execution) kill() {
	if !e.isKilled {
		close(e.killed)
	}
	e.isKilled = true
	e.killer.Kill(e.tree)
}

func (e *execution) after(ms float64, act func()) {
	e.timers = append(e.timers, time.AfterFunc(clock.Duration(ms), func() { crash.Run(act) }))
}

// ended is called when the command has exited. It returns when the output is in the spool.
func (e *execution) ended(exit kill.Exit) *wire.ExitRecord {
	cause, endedAt := e.exited(), exit.At
	var left *wire.Leftovers
	if cause != nil {
		e.awaitTree()
		endedAt = max(endedAt, clock.NowMs())
	} else {
		left = e.settleLeftovers()
	}
	told := e.tree.CloseNotes()
	e.close()
	group := e.command.Group()
	oom, isRefused := group.WasOOM(), group.WasPidsRefused()
	group.Release()
	switch {
	case left != nil && left.Left:
		group.Remove()
	case left != nil || cause != nil:
		e.killer.Kill(e.tree)
	default:
		e.killer.Sweep(e.tree)
	}
	e.tree.ClearNamed()
	e.drain()
	e.command.Streams().CloseInput()
	record := &wire.ExitRecord{
		EndedAt: endedAt, StartedAt: &e.startedAt, Oom: oom, PidsRefused: isRefused, Leftovers: left, Told: told, Written: e.output.Finish(),
	}
	describe(record, exit, cause)
	return record
}

// exited returns what ended the command, or nil.
func (e *execution) exited() *wire.Cause {
	e.killer.Exited(e.tree)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hasExited = true
	e.tree.DoNotSpare()
	return e.cause
}

// awaitTree returns when no process of the tree lives, or at SIGKILL.
func (e *execution) awaitTree() {
	for wait := firstLook; ; wait = min(2*wait, longestLook) {
		select {
		case <-e.killed:
			return
		default:
		}
		if len(e.killer.Members(e.tree)) == 0 {
			return
		}
		select {
		case <-e.killed:
			return
		case <-time.After(wait):
		}
	}
}

// close ends the grace.
func (e *execution) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.isOver = true
	for _, timer := range e.timers {
		timer.Stop()
	}
	e.killer.Unwatch(e.tree)
}

// drain returns when no more output is expected from processes that hold a pipe open after the command's end.
func (e *execution) drain() {
	select {
	case <-e.output.Done:
		return
	case <-time.After(drainStep):
	}
	if e.output.IsHeld() && !e.command.Order().Leave {
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

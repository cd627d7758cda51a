package supervise

import (
	"shellcron.dev/launcher/internal/clock"
	"shellcron.dev/launcher/internal/journal"
	"shellcron.dev/launcher/internal/kill"
	"shellcron.dev/launcher/internal/spool"
	"shellcron.dev/launcher/internal/start"
	"shellcron.dev/launcher/internal/wire"
)

// launch starts a run's command at once, unless the fence has passed or the end was decided.
func (s *Supervisor) launch(r *run) {
	command := s.mayStart(r)
	if command == nil {
		return
	}
	s.reaper.Begin()
	startedAt := clock.NowMs()
	child, failure := command.Start()
	if failure != nil {
		s.reaper.GiveUp()
		s.mu.Lock()
		defer s.mu.Unlock()
		r.isStarting = false
		s.failToStart(r, failure)
		return
	}
	e := s.supervise(r, command, child, startedAt)
	s.mu.Lock()
	r.execution, r.isStarting = e, false
	s.report(wire.Started{Type: "started", ID: r.id, At: startedAt, Pid: child.Pid})
	if r.pendingEnd != nil {
		e.end(*r.pendingEnd)
	}
	s.mu.Unlock()
	s.reaper.Claim(child, func(exit kill.Exit) {
		record := e.ended(exit)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.settle(r, record)
	})
}

func (s *Supervisor) mayStart(r *run) *start.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.fenced && s.fences.isOver(r.session) {
		s.enforce(r.session)
	}
	if r.isEnding {
		return nil
	}
	r.isStarting = true
	return r.command
}

// supervise hands a command that has just started to the journal, the killer and the collector, and sets its deadline.
func (s *Supervisor) supervise(r *run, command *start.Command, child kill.Child, startedAt int64) *execution {
	order := command.Order()
	e := &execution{tree: command.Tree(child), startedAt: startedAt, command: command, killer: s.killer, killed: make(chan struct{})}
	line := journal.Started{
		ID: r.id, Session: r.session, At: r.at, StartedAt: startedAt, Fenced: r.fenced, Pid: child.Pid,
		Boot: s.bootID, Mark: order.Mark, Labels: r.labels, Cgroup: command.Group().Path(),
	}
	if ticks := e.tree.Ticks(); ticks != 0 {
		line.Ticks = &ticks
	}
	s.journal.Started(line)
	s.killer.Watch(e.tree)
	writer := spool.NewWriter(s.spoolPath(r.id), wire.Bytes(order.OutputLimit))
	e.output = s.collector.Collect(command.Streams(), writer, r.changed.notify)
	e.begin()
	return e
}

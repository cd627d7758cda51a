package main

import (
	"math"
	"path/filepath"
)

// watch takes a command that has just started under supervision: journal, killer, output, deadline.
func (st *starter) watch(e *entry, command *command, pid int, startedAt int64) *run {
	s := st.supervisor
	first, _ := readProcess(pid, true)
	order := command.order
	live := &run{
		root: &root{
			pid: pid, ticks: first.ticks, mark: order.mark, isGroupKnown: true, strays: map[int]uint64{}, group: command.group,
			isConfined: command.group.journalled() != "" && !command.isRoot(), notes: command.notes,
		},
		startedAt: startedAt, command: command, killer: s.killer, collector: s.collector,
	}
	line := startedLine{
		Type: "started", ID: e.id, Session: e.session, At: e.at, StartedAt: startedAt, Fenced: e.fenced, Pid: pid,
		Boot: s.boot, Mark: order.mark, Labels: e.labels, Cgroup: command.group.journalled(),
	}
	if first.ticks != 0 {
		line.Ticks = &first.ticks
	}
	s.journal.started(line)
	s.killer.watch(live.root)
	limit := int64(math.Min(order.outputLimit, math.MaxInt64/2))
	spool := &spool{path: filepath.Join(s.spoolDir, spoolName(e.id)), room: limit}
	live.output = s.collector.collect(spool, command.stdio.stdout, command.stdio.stderr, e.changed.ring)
	live.begin()
	return live
}

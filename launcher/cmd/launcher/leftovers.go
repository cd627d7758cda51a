package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

// places is where runs' files lie, each under the run's spoolName.
type places struct{ spools, notes string }

func (p places) notesOf(id string) string { return filepath.Join(p.notes, spoolName(id)) }

// settleLeftovers kills what an earlier launcher left running; it ends as lost: its exit code is not known to anybody. Returns
// what has ended and is not forgotten yet.
func settleLeftovers(j *journal, in places, boot string, killer *killer) []endedLine {
	var running []startedLine
	var ended []endedLine
	known := map[string]bool{}
	var unsure []string
	for _, line := range j.lines() {
		var armed armedLine
		var started startedLine
		var end endedLine
		var record exitRecord
		if json.Unmarshal(line, &armed) == nil && armed.Type == "armed" {
			unsure = append(unsure, armed.ID)
			if armed.Boot == boot {
				killer.kill(&root{mark: armed.Mark, strays: map[int]uint64{}, notes: in.notesOf(armed.ID)})
			}
		} else if json.Unmarshal(line, &started) == nil && started.Type == "started" {
			running = append(running, started)
			known[spoolName(started.ID)] = true
		} else if json.Unmarshal(line, &end) == nil && json.Unmarshal(end.Record, &record) == nil {
			ended = append(ended, end)
			known[spoolName(record.ID)] = true
		}
	}
	removeUnknown(in.spools, known)
	for _, each := range running {
		if each.Boot == boot {
			killLeft(each, in, killer)
		}
	}
	killer.idle(2 * killFor)
	// Who is not known may have been started all the same, and only its notes say where else it runs.
	removeUnknown(in.notes, known)
	if len(unsure) > 0 {
		j.forgotten(unsure)
	}
	settled := make(chan struct{}, len(running))
	for _, each := range running {
		line := lostLine(each, in, boot)
		ended = append(ended, line)
		j.ended(each.ID, line, func() { settled <- struct{}{} })
	}
	for range running {
		<-settled
	}
	return ended
}

func killLeft(left startedLine, in places, killer *killer) {
	r := &root{pid: left.Pid, mark: left.Mark, strays: map[int]uint64{}, notes: in.notesOf(left.ID)}
	if left.Ticks != nil {
		r.ticks = *left.Ticks
	}
	leader, alive := readProcess(left.Pid, false)
	r.isGroupKnown = alive && leader.ticks == r.ticks || left.Mark == ""
	if left.Cgroup != "" {
		r.group = &runGroup{v2: left.Cgroup}
		r.group.end()
	}
	killer.kill(r)
}

func lostLine(left startedLine, in places, boot string) endedLine {
	reason := "MachineRebooted"
	if left.Boot == boot {
		reason = "LauncherDied"
	}
	record := exitRecord{
		ID: left.ID, Session: left.Session, Cause: lostBecause(reason), StartedAt: &left.StartedAt,
		EndedAt: time.Now().UnixMilli(), written: recoverOutput(filepath.Join(in.spools, spoolName(left.ID))), Labels: left.Labels,
	}
	return endedLine{"ended", left.At, left.Fenced, record.journalled()}
}

func removeUnknown(dir string, known map[string]bool) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if !known[entry.Name()] {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
}

package supervise

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"shellcron.dev/launcher/internal/cgroup"
	"shellcron.dev/launcher/internal/journal"
	"shellcron.dev/launcher/internal/kill"
	"shellcron.dev/launcher/internal/spool"
	"shellcron.dev/launcher/internal/wire"
)

// leftovers are the runs in an earlier launcher's journal.
type leftovers struct {
	armed   []journal.Armed
	started []journal.Started
	ended   []journal.Ended
	// files are the names of the spools and notes that belong to a run.
	files map[string]bool
}

// settleLeftovers kills the runs that an earlier launcher left. They end as lost: nobody knows their exit codes. It returns all runs
// that have ended and are not forgotten.
func (s *Supervisor) settleLeftovers() []journal.Ended {
	left := readLeftovers(s.journal.Lines())
	removeOthers(s.spoolDir, left.files)
	var uncertain []string
	for _, each := range left.armed {
		uncertain = append(uncertain, each.ID)
		if each.Boot == s.bootID {
			s.killer.Kill(kill.LeftTree(0, 0, kill.Traits{Mark: each.Mark, Notes: s.notesPath(each.ID)}))
		}
	}
	for _, each := range left.started {
		if each.Boot == s.bootID {
			s.killStarted(each)
		}
	}
	s.killer.WaitIdle(2 * kill.KillWithin)
	// Only now: an armed run may have started, and only its notes say where else it runs.
	removeOthers(s.notesDir, left.files)
	if len(uncertain) > 0 {
		s.journal.Forgotten(uncertain)
	}
	return append(left.ended, s.settleLost(left.started)...)
}

func readLeftovers(lines [][]byte) leftovers {
	left := leftovers{files: map[string]bool{}}
	for _, line := range lines {
		var armed journal.Armed
		var started journal.Started
		var ended journal.Ended
		var record wire.ExitRecord
		if json.Unmarshal(line, &armed) == nil && armed.Type == "armed" {
			left.armed = append(left.armed, armed)
		} else if json.Unmarshal(line, &started) == nil && started.Type == "started" {
			left.started = append(left.started, started)
			left.files[spool.Name(started.ID)] = true
		} else if json.Unmarshal(line, &ended) == nil && json.Unmarshal(ended.Record, &record) == nil {
			left.ended = append(left.ended, ended)
			left.files[spool.Name(record.ID)] = true
		}
	}
	return left
}

func (s *Supervisor) killStarted(left journal.Started) {
	traits := kill.Traits{Mark: left.Mark, Notes: s.notesPath(left.ID)}
	var ticks uint64
	if left.Ticks != nil {
		ticks = *left.Ticks
	}
	if left.Cgroup != "" {
		traits.Group = cgroup.Left(left.Cgroup)
	}
	s.killer.Kill(kill.LeftTree(left.Pid, ticks, traits))
}

// settleLost journals the ends of lost runs, and returns when they are on the disk.
func (s *Supervisor) settleLost(lost []journal.Started) (ended []journal.Ended) {
	settled := make(chan struct{}, len(lost))
	for _, each := range lost {
		line := s.lostLine(each)
		ended = append(ended, line)
		s.journal.Ended(each.ID, line, func() { settled <- struct{}{} })
	}
	for range lost {
		<-settled
	}
	return ended
}

func (s *Supervisor) lostLine(left journal.Started) journal.Ended {
	reason := "MachineRebooted"
	if left.Boot == s.bootID {
		reason = "LauncherDied"
	}
	record := wire.ExitRecord{
		ID: left.ID, Session: left.Session, Cause: wire.Lost(reason), StartedAt: &left.StartedAt,
		EndedAt: time.Now().UnixMilli(), Written: spool.Recover(s.spoolPath(left.ID)), Labels: left.Labels,
	}
	return journal.Ended{At: left.At, Fenced: left.Fenced, Record: record.EncodeWithoutTail()}
}

// removeOthers removes the files that belong to no run.
func removeOthers(dir string, known map[string]bool) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if !known[entry.Name()] {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
}

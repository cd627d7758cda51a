// Package supervise holds the runs of this machine: it starts them at their instants, enforces kills, deadlines and fences, and records
// their ends.
package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"shellcron.dev/launcher/internal/clock"
	"shellcron.dev/launcher/internal/crash"
	"shellcron.dev/launcher/internal/journal"
	"shellcron.dev/launcher/internal/kill"
	"shellcron.dev/launcher/internal/spool"
	"shellcron.dev/launcher/internal/start"
	"shellcron.dev/launcher/internal/stdio"
	"shellcron.dev/launcher/internal/wire"
)

// Supervisor holds the runs:
//
//	armed ──its instant──> running ──> ended ──forget──> (gone)
//	  └──cancel, kill, fence, start failure──> ended
//
// An end is reported when it is on the disk. The methods may be called from any goroutine.
type Supervisor struct {
	// Stopped is closed when the launcher may end.
	Stopped chan struct{}

	preparer  *start.Preparer
	journal   *journal.Journal
	killer    *kill.Killer
	reaper    *kill.Reaper
	collector *stdio.Collector
	starter   *starter
	spoolDir  string
	notesDir  string
	bootID    string

	mu      sync.Mutex
	runs    map[string]*run
	arrived uint64
	fences  *fences
	// agent is nil while none is connected.
	agent Agent
	// isStopping: the launcher is to end when it is idle. isStoppingNow: at once.
	isStopping, isStoppingNow bool
}

// Agent is the connection whose orders are obeyed.
type Agent interface {
	// Report sends an event of a run. It may be held back while many runs are due.
	Report(event any)
	// Send sends at once, after the events that were held back.
	Send(message any)
}

// New opens the state directory. pidsLimit is for the processes of all runs together; 0 is the default. The supervisor needs Work.
func New(stateDir string, pidsLimit int) (*Supervisor, error) {
	if err := kill.Adopt(); err != nil {
		return nil, err
	}
	spoolDir := filepath.Join(stateDir, "spool")
	notesDir, err := filepath.Abs(filepath.Join(stateDir, "notes"))
	if err != nil {
		return nil, err
	}
	// If this fails, the first run with output makes it.
	_ = os.MkdirAll(spoolDir, 0o700)
	reaper := kill.NewReaper()
	s := &Supervisor{
		Stopped: make(chan struct{}), killer: kill.NewKiller(reaper), reaper: reaper,
		spoolDir: spoolDir, notesDir: notesDir, bootID: clock.BootID(), runs: map[string]*run{},
	}
	var failures [5]error
	s.preparer, failures[0] = start.NewPreparer(stateDir, notesDir, pidsLimit, reaper)
	s.journal, failures[1] = journal.Open(filepath.Join(stateDir, "launcher.journal"))
	s.collector, failures[2] = stdio.NewCollector()
	s.fences, failures[3] = newFences()
	s.starter, failures[4] = newStarter(s)
	if err := errors.Join(failures[:]...); err != nil {
		return nil, err
	}
	s.killer.IsBusy, s.journal.IsBusy = s.starter.isBusy, s.starter.isBusy
	return s, nil
}

// Recover starts the background work and settles what an earlier launcher left. It returns how many runs have ended and are not
// forgotten.
func (s *Supervisor) Recover() int {
	crash.Handle(s.killAllNow)
	crash.Go(s.reaper.Work)
	crash.Go(s.killer.Work)
	crash.Go(s.journal.Work)
	crash.Go(s.collector.Work)
	left := s.settleLeftovers()
	for _, line := range left {
		s.admitEnded(line)
	}
	return len(left)
}

// Work starts to start runs and to enforce fences.
func (s *Supervisor) Work() {
	crash.Go(s.watchFences)
	s.starter.work()
}

// Close waits for what is being killed. It comes after Stopped.
func (s *Supervisor) Close() { s.killer.WaitIdle(kill.KillWithin) }

// Remove removes the control groups, as the last thing.
func (s *Supervisor) Remove() { s.preparer.Close() }

// BootID differs after each boot.
func (s *Supervisor) BootID() string { return s.bootID }

// Features are those of the protocol that this machine has.
func (s *Supervisor) Features() []string { return s.preparer.Features() }

// Cancel ends runs that have not started.
func (s *Supervisor) Cancel(ids []string) {
	s.each(ids, func(r *run) {
		if r.isArmed() {
			s.endUnstarted(r, wire.Cause{Kind: "cancelled"}, 0)
		}
	})
}

// Kill ends runs, with their grace.
func (s *Supervisor) Kill(ids []string, reason string) {
	s.each(ids, func(r *run) {
		if r.order != nil {
			s.end(r, ending{wire.Killed(reason), r.order.GraceMs})
		}
	})
}

// each calls `act` with the runs that are known, and reports the others as unknown.
func (s *Supervisor) each(ids []string, act func(*run)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if r := s.runs[id]; r != nil {
			act(r)
		} else {
			s.report(wire.Event{Type: "unknown", ID: id})
		}
	}
}

// Stop ends the launcher when it is idle, or kills all runs and ends it at once.
func (s *Supervisor) Stop(whenIdle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isStopping = true
	if !whenIdle {
		s.isStoppingNow = true
		for _, r := range s.inOrder() {
			s.end(r, ending{cause: wire.Killed("Stopped")})
		}
	}
	s.stopIfIdle()
}

func (s *Supervisor) stopIfIdle() {
	if !s.isStopping {
		return
	}
	for _, r := range s.runs {
		if r.record == nil {
			return
		}
	}
	select {
	case <-s.Stopped:
	default:
		close(s.Stopped)
	}
}

func (s *Supervisor) spoolPath(id string) string { return filepath.Join(s.spoolDir, spool.Name(id)) }

func (s *Supervisor) notesPath(id string) string { return filepath.Join(s.notesDir, spool.Name(id)) }

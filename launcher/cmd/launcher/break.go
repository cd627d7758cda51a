package main

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience is for who holds a lock for a moment.
const lockPatience = 100 * time.Millisecond

// killAllNow is for when the launcher breaks: nobody will be there to enforce deadlines and fences. It waits for no lock, which who
// broke may hold.
func (s *supervisor) killAllNow() {
	unlock := lockIfPossible(&s.reaper.mu)
	for pid := range s.reaper.claims {
		_ = unix.Kill(-pid, unix.SIGKILL)
	}
	unlock()
	killAllNoted(s.machine.notesDir)
	// In there is also who left its process group.
	if own := s.machine.cgroups.v2; own != "" {
		killGroup(own)
	}
}

// lockIfPossible: what is not to be had for so long is held by who broke, and so what it guards does not change either.
func lockIfPossible(mu *sync.Mutex) (unlock func()) {
	for until := time.Now().Add(lockPatience); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if mu.TryLock() {
			return mu.Unlock
		}
	}
	return func() {}
}

// killAllNoted finds the groups where they were noted: those that run, and those whose trees are dead already.
func killAllNoted(notesDir string) {
	files, _ := os.ReadDir(notesDir)
	for _, file := range files {
		groups, _ := readNotes(filepath.Join(notesDir, file.Name()))
		for _, group := range groups {
			killGroup(group)
		}
	}
}

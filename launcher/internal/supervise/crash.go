package supervise

import (
	"os"
	"path/filepath"

	"shellcron.dev/launcher/internal/cgroup"
	"shellcron.dev/launcher/internal/notes"
)

// killAllNow is for a crash: afterwards nothing enforces deadlines and fences. It waits for no lock, which the goroutine that crashed
// may hold.
func (s *Supervisor) killAllNow() {
	s.reaper.KillAllNow()
	killNamed(s.notesDir)
	// The control groups also hold processes that left their process group.
	s.preparer.KillAllNow()
}

// killNamed kills the groups that any run's notes name, whether the run still runs or not.
func killNamed(notesDir string) {
	files, _ := os.ReadDir(notesDir)
	for _, file := range files {
		groups, _ := notes.Read(filepath.Join(notesDir, file.Name()))
		for _, group := range groups {
			cgroup.Kill(group)
		}
	}
}

package kill

import (
	"syscall"

	"shellcron.dev/launcher/internal/clock"
)

// Child is a process that the launcher started.
type Child struct{ Pid int }

// waitFor reaps a child that has ended.
func waitFor(pid int) (Exit, bool) {
	var status syscall.WaitStatus
	var usage syscall.Rusage
	at := clock.NowMs()
	if got, err := syscall.Wait4(pid, &status, 0, &usage); err != nil || got != pid {
		return Exit{}, false
	}
	return exitOf(at, status, &usage), true
}

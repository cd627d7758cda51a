package main

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/windows"

	"shellcron.dev/launcher/internal/supervise"
)

// setUpProcess does nothing: handles are inherited only where that is asked for, and there is no umask.
func setUpProcess() {}

func tryLock(lock *os.File) error {
	err := windows.LockFileEx(windows.Handle(lock.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return os.NewSyscallError("LockFileEx", err)
}

// endOnSignals ends the launcher on Ctrl-C and when the session ends.
func endOnSignals(s *supervise.Supervisor) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, windows.SIGTERM)
	for received := range signals {
		slog.Info("launcher.signalled", "signal", received.String())
		s.Stop(false)
	}
}

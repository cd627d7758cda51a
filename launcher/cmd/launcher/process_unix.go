//go:build unix

package main

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/supervise"
)

// commandUmask is the umask of commands, whatever the launcher was started with.
const commandUmask = 0o022

// setUpProcess gives up what the launcher inherited and its commands would inherit.
func setUpProcess() {
	closeInherited()
	unix.Umask(commandUmask)
}

// closeInherited closes descriptors that would be open in every command. The launcher's own close themselves at exec.
func closeInherited() {
	folder := "/dev/fd"
	if runtime.GOOS == "linux" {
		// A container may have no /dev/fd.
		folder = "/proc/self/fd"
	}
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}

func tryLock(lock *os.File) error {
	err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return os.NewSyscallError("flock", err)
}

// endOnSignals ends the launcher on SIGTERM and SIGINT: the machine goes down, or somebody stops this process, and then runs must not
// live on without it. The other signals are caught so that commands do not start with them ignored, as this process may have been.
func endOnSignals(s *supervise.Supervisor) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2,
		unix.SIGALRM, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH)
	for received := range signals {
		if received == unix.SIGTERM || received == unix.SIGINT {
			slog.Info("launcher.signalled", "signal", unix.SignalName(received.(unix.Signal)))
			s.Stop(false)
		}
	}
}

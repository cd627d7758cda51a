//go:build unix

package kill

import (
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/wire"
)

func exitOf(at int64, status syscall.WaitStatus, usage *syscall.Rusage) Exit {
	exit := Exit{At: at, Rusage: &wire.Rusage{
		UserMs:      usage.Utime.Nano() / int64(time.Millisecond),
		SystemMs:    usage.Stime.Nano() / int64(time.Millisecond),
		MaxRssBytes: usage.Maxrss * maxrssUnit(),
	}}
	if status.Signaled() {
		exit.Signal = signalName(status.Signal())
	} else {
		exit.Code = status.ExitStatus()
	}
	return exit
}

// maxrssUnit: Linux counts in KiB, darwin in bytes.
func maxrssUnit() int64 {
	if runtime.GOOS == "darwin" {
		return 1
	}
	return 1024
}

// signalName is as SIGKILL; SIGRTMIN+n for the real-time signals, which have no names.
func signalName(number syscall.Signal) string {
	if name := unix.SignalName(number); name != "" {
		return name
	}
	const firstRealTime = 34
	return "SIGRTMIN+" + strconv.Itoa(int(number)-firstRealTime)
}

package kill

import (
	"os"
	"os/signal"
	"unsafe"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/crash"
)

// Adopt makes this process the subreaper: it inherits the orphans of the processes that it starts.
func Adopt() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// Claim calls `onExit` once, from a goroutine of its own.
func (r *Reaper) Claim(child Child, onExit func(Exit)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if exit, hasEnded := r.unclaimed[child.Pid]; hasEnded {
		crash.Go(func() { onExit(exit) })
	} else {
		r.claims[child.Pid] = onExit
	}
	r.endStarting()
}

// Work reaps until the process ends.
func (r *Reaper) Work() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	for {
		for r.reapOne() {
		}
		<-ended
	}
}

// reapOne first looks which child has ended, so that it reaps under the lock: Claim must find the end of a child, or come before it.
func (r *Reaper) reapOne() bool {
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil {
		return err == unix.EINTR
	}
	pid := siginfoPid(&info)
	if pid == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	onExit := r.claims[pid]
	exit, isReaped := waitFor(pid)
	if !isReaped {
		return true
	}
	if onExit != nil {
		delete(r.claims, pid)
		crash.Go(func() { onExit(exit) })
	} else if r.starting > 0 {
		r.unclaimed[pid] = exit
	}
	return true
}

// siginfoPid reads si_pid, which <signal.h> has behind three ints, aligned like a pointer.
func siginfoPid(info *unix.Siginfo) int {
	const offset = (3*4 + unsafe.Sizeof(uintptr(0)) - 1) / unsafe.Sizeof(uintptr(0)) * unsafe.Sizeof(uintptr(0))
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), offset)))
}

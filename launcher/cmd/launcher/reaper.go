package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// exit is how a process ended.
type exit struct {
	at     int64
	status syscall.WaitStatus
	usage  syscall.Rusage
}

// reaper waits for every child of this process: the commands, and the orphans that it inherits as their subreaper.
type reaper struct {
	mu sync.Mutex
	// claims are called with the end of a child that somebody started.
	claims map[int]func(exit)
	// starting: so many children may be there whose pid nobody has claimed yet; what ends meanwhile is kept for them.
	starting  int
	unclaimed map[int]exit
}

func newReaper() *reaper {
	return &reaper{claims: map[int]func(exit){}, unclaimed: map[int]exit{}}
}

// begin comes before a fork, and `claim` or `giveUp` after it.
func (r *reaper) begin() {
	r.mu.Lock()
	r.starting++
	r.mu.Unlock()
}

func (r *reaper) giveUp() {
	r.mu.Lock()
	r.endStarting()
	r.mu.Unlock()
}

// claim calls `onExit` once, from a goroutine of its own.
func (r *reaper) claim(pid int, onExit func(exit)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ended, there := r.unclaimed[pid]; there {
		guard(func() { onExit(ended) })
	} else {
		r.claims[pid] = onExit
	}
	r.endStarting()
}

func (r *reaper) endStarting() {
	if r.starting--; r.starting == 0 {
		clear(r.unclaimed)
	}
}

// isClaimed: whether it is a command or a program of ours, and no orphan.
func (r *reaper) isClaimed(pid int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claims[pid] != nil
}

// isStarting: a child that is not claimed may be no orphan.
func (r *reaper) isStarting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.starting > 0
}

// work reaps until the process ends.
func (r *reaper) work() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	for {
		for r.reapOne() {
		}
		<-ended
	}
}

// reapOne first looks who has ended: as long as nobody has reaped a command, the number of its group is its own, and the rest of
// the group can be killed by it.
func (r *reaper) reapOne() bool {
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
	if onExit != nil {
		_ = unix.Kill(-pid, unix.SIGKILL)
	}
	ended := exit{at: nowMs()}
	if got, err := syscall.Wait4(pid, &ended.status, 0, &ended.usage); err != nil || got != pid {
		return true
	}
	if onExit != nil {
		delete(r.claims, pid)
		guard(func() { onExit(ended) })
	} else if r.starting > 0 {
		r.unclaimed[pid] = ended
	}
	return true
}

// siginfoPid: <signal.h> has si_pid behind three ints, aligned as a pointer is.
func siginfoPid(info *unix.Siginfo) int {
	const offset = (3*4 + unsafe.Sizeof(uintptr(0)) - 1) / unsafe.Sizeof(uintptr(0)) * unsafe.Sizeof(uintptr(0))
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), offset)))
}

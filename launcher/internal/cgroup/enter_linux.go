package cgroup

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter makes the process that is started with `attr` begin in the groups, until `leave` is called. For version 2, clone3 does it.
// For version 1, the calling thread moves there itself: the kernel takes no lock for a thread that moves itself.
func (g *Group) Enter(attr *syscall.SysProcAttr) (leave func(), err error) {
	if g == nil {
		return func() {}, nil
	}
	if g.v2 != "" {
		fd, err := unix.Open(g.v2, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, os.NewSyscallError("open cgroup", err)
		}
		attr.UseCgroupFD, attr.CgroupFD = true, fd
	}
	leave = func() {
		if attr.UseCgroupFD {
			_ = unix.Close(attr.CgroupFD)
		}
		g.leaveV1()
	}
	if len(g.enteredV1()) > 0 {
		runtime.LockOSThread()
	}
	for _, group := range g.enteredV1() {
		if err := Write(group, "tasks", "0"); err != nil {
			leave()
			return nil, err
		}
	}
	return leave, nil
}

// enteredV1 are the groups of version 1 that a command begins in.
func (g *Group) enteredV1() []string {
	groups := slices.Collect(maps.Values(g.v1))
	if g.slice != "" {
		groups = append(groups, g.slice)
	}
	return groups
}

// leaveV1 moves the thread back to the launcher's own groups, which the base folders are in.
func (g *Group) leaveV1() {
	if len(g.enteredV1()) == 0 {
		return
	}
	for _, group := range g.enteredV1() {
		runs := group
		if group != g.slice {
			runs = filepath.Dir(group)
		}
		if err := Write(filepath.Dir(filepath.Dir(runs)), "tasks", "0"); err != nil {
			slog.Error("cgroup.unleavable", "cgroup", group, "error", err)
		}
	}
	runtime.UnlockOSThread()
}

package main

import (
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// signalGroups is for when nobody can be looked up, for want of descriptors: as long as a command runs its group is its own.
func signalGroups(roots []*root, living map[*root]bool, signal unix.Signal) {
	for _, root := range roots {
		if living[root] && (signal != unix.SIGKILL || !root.isSpared(time.Now())) {
			_ = unix.Kill(-root.pid, signal)
		}
	}
}

func terminateMembers(roots []*root, found map[*root][]process) {
	for _, root := range roots {
		signalMembers(root, found[root], unix.SIGTERM)
	}
}

func killMembers(root *root, members []process, at time.Time) {
	if root.isSpared(at) {
		members = slices.DeleteFunc(slices.Clone(members), func(each process) bool { return each.group == root.pid })
	} else {
		root.group.kill()
	}
	root.killNoted()
	signalMembers(root, members, unix.SIGKILL)
}

// signalMembers reaches the root's process group at once; who is not in it is remembered.
func signalMembers(root *root, members []process, signal unix.Signal) {
	isGroupReached := false
	for _, member := range members {
		if root.isGroupKnown && member.group == root.pid {
			if !isGroupReached {
				_ = unix.Kill(-root.pid, signal)
			}
			isGroupReached = true
			continue
		}
		root.strays[member.pid] = member.ticks
		_ = unix.Kill(member.pid, signal)
	}
}

// killOrphans: who left its tree without a mark and lost its parent is our child now. If no command that runs is as old, it is of
// one that has ended.
func (k *killer) killOrphans(table []process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, each := range table {
		if each.parent != os.Getpid() || k.reaper.isClaimed(each.pid) || k.reaper.isStarting() {
			continue
		}
		isOlder := true
		for root := range k.living {
			isOlder = isOlder && root.ticks > each.ticks
		}
		if isOlder {
			_ = unix.Kill(each.pid, unix.SIGKILL)
		}
	}
}

//go:build unix

package kill

import (
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/proc"
)

// signalGroups is for when the process table cannot be read. While a command runs, its pid names its process group.
func signalGroups(trees []*Tree, running map[*Tree]bool, signal unix.Signal) {
	for _, tree := range trees {
		if running[tree] && (signal != unix.SIGKILL || !tree.isSpared(time.Now())) {
			_ = unix.Kill(-tree.pid, signal)
		}
	}
}

func (t *Tree) killMembers(members []proc.Process, at time.Time) {
	if t.isSpared(at) {
		members = slices.DeleteFunc(slices.Clone(members), func(each proc.Process) bool { return each.Group == t.pid })
	} else {
		t.group.Kill()
	}
	t.killNamed()
	t.signalMembers(members, unix.SIGKILL)
}

// signalMembers reaches the command's process group by one call. Members outside of it are remembered.
func (t *Tree) signalMembers(members []proc.Process, signal unix.Signal) {
	isGroupReached := false
	for _, member := range members {
		if t.isGroupKnown && member.Group == t.pid {
			if !isGroupReached {
				_ = unix.Kill(-t.pid, signal)
			}
			isGroupReached = true
			continue
		}
		t.strays[member.Pid] = member.Ticks
		_ = unix.Kill(member.Pid, signal)
	}
}

// killOrphans kills processes without a mark that left their tree and lost their parent: they are the launcher's children now. If
// every running command is younger than such a process, its run has ended.
func (k *Killer) killOrphans(table []proc.Process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, each := range table {
		if each.Parent != os.Getpid() || k.reaper.isClaimed(each.Pid) || k.reaper.IsStarting() {
			continue
		}
		isOlder := true
		for tree := range k.running {
			isOlder = isOlder && tree.ticks > each.Ticks
		}
		if isOlder && !k.wasLeft(each) {
			_ = unix.Kill(each.Pid, unix.SIGKILL)
		}
	}
}

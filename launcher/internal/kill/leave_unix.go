//go:build unix

package kill

import (
	"bytes"

	"shellcron.dev/launcher/internal/cgroup"
	"shellcron.dev/launcher/internal/proc"
)

// Leave lets the tree go on outside of the run. Its processes are the launcher's children now, and no orphans to be killed.
func (k *Killer) Leave(tree *Tree) {
	k.mu.Lock()
	if tree.mark != "" {
		k.leftMarks[tree.mark] = true
	}
	k.leftSessions[tree.pid] = true
	k.mu.Unlock()
	tree.group.Leave()
}

// wasLeft is true for a process of a tree that Leave let go. The lock is held.
func (k *Killer) wasLeft(each proc.Process) bool {
	if k.leftSessions[each.Session] || cgroup.WasLeft(each.Pid) {
		return true
	}
	if len(k.leftMarks) == 0 {
		return false
	}
	for variable := range bytes.SplitSeq(proc.Environment(each.Pid), []byte{0}) {
		if k.leftMarks[string(variable)] {
			return true
		}
	}
	return false
}

//go:build unix

package kill

import (
	"time"

	"shellcron.dev/launcher/internal/proc"
)

// look asks for the living processes of a tree. The process table is read once for all looks that wait.
type look struct {
	tree   *Tree
	asked  time.Time
	answer chan []proc.Process
}

// Members returns the living processes of a tree whose command has ended.
func (k *Killer) Members(tree *Tree) []proc.Process {
	if tree.isConfined && !tree.HasProcesses() {
		return nil
	}
	asked := look{tree, time.Now(), make(chan []proc.Process, 1)}
	k.request(func() { k.looks = append(k.looks, asked) })
	return <-asked.answer
}

// takeLooks returns the looks that are due. While runs are due, which must not wait, a look waits for up to sweepWithin.
func (k *Killer) takeLooks() (due []look) {
	isBusy := k.IsBusy()
	k.mu.Lock()
	defer k.mu.Unlock()
	var later []look
	for _, each := range k.looks {
		if isBusy && time.Since(each.asked) < sweepWithin {
			later = append(later, each)
		} else {
			due = append(due, each)
		}
	}
	k.looks = later
	return due
}

func (k *Killer) isWithoutLooks() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.looks) == 0
}

func (k *Killer) lookAgain(looks []look) {
	k.mu.Lock()
	k.looks = append(k.looks, looks...)
	k.mu.Unlock()
}

// answerLooks remembers members outside of the command's group: their parents may end before the next look.
func answerLooks(looks []look, table []proc.Process, running map[*Tree]bool) {
	var trees []*Tree
	for _, each := range looks {
		trees = append(trees, each.tree)
	}
	found := membersOf(trees, table, running)
	for _, each := range looks {
		members := found[each.tree]
		each.tree.remember(members)
		each.answer <- members
	}
}

// remember also gives up the number of the command's group once the group is empty: another process may get it.
func (t *Tree) remember(members []proc.Process) {
	isGroupAlive := false
	for _, member := range members {
		if t.isGroupKnown && (member.Group == t.pid || member.Session == t.pid) {
			isGroupAlive = true
		}
		if member.Group != t.pid {
			t.strays[member.Pid] = member.Ticks
		}
	}
	t.isGroupKnown = t.isGroupKnown && isGroupAlive
}

//go:build unix

package kill

import (
	"time"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/proc"
)

const (
	// During a grace, processes that began after the SIGTERM are looked for every killRound, and after a while less often.
	oftenFor   = 10 * time.Second
	rarelyWait = time.Second
)

// grace is the time between a tree's SIGTERM and its SIGKILL, or the end of its run. Each process of the tree gets one SIGTERM, also one
// that was forked while the others got theirs: its parent may be dead, and nobody else would end it.
//
// What a process that handles SIGTERM starts afterwards is its cleanup, and is spared.
type grace struct {
	began, next time.Time
	// told are the processes that got SIGTERM or are spared, ticks by pid. Ticks tell a process from a later one with its pid.
	told map[int]uint64
	// spared are those of them that belong to a cleanup.
	spared map[int]uint64
	looks  int
}

// signal sends SIGTERM to the members that have not had it.
func (g *grace) signal(tree *Tree, members []proc.Process) {
	g.looks++
	now := time.Now()
	if g.next = now.Add(killRound); now.Sub(g.began) > oftenFor {
		g.next = now.Add(rarelyWait)
	}
	if g.looks == 1 {
		tree.signalMembers(members, unix.SIGTERM)
		for _, member := range members {
			g.told[member.Pid] = member.Ticks
		}
		return
	}
	byPid := map[int]proc.Process{}
	for _, member := range members {
		byPid[member.Pid] = member
	}
	var newcomers []proc.Process
	for _, member := range members {
		if !g.wasTold(member) {
			newcomers = append(newcomers, member)
		}
	}
	for _, each := range newcomers {
		switch {
		case g.isOfCleanup(each, byPid):
			g.spared[each.Pid] = each.Ticks
		case g.looks == 2 && each.Group == tree.pid && proc.Catches(each.Pid, unix.SIGTERM):
			// It may have begun just before the signal to the whole group, and have got that.
		default:
			if each.Group != tree.pid {
				tree.strays[each.Pid] = each.Ticks
			}
			_ = unix.Kill(each.Pid, unix.SIGTERM)
		}
	}
	for _, each := range newcomers {
		g.told[each.Pid] = each.Ticks
	}
}

func (g *grace) wasTold(each proc.Process) bool {
	ticks, known := g.told[each.Pid]
	return known && ticks == each.Ticks
}

// isOfCleanup looks for an ancestor in the tree that handles SIGTERM, or is spared itself.
func (g *grace) isOfCleanup(each proc.Process, byPid map[int]proc.Process) bool {
	for range byPid {
		parent, isMember := byPid[each.Parent]
		if !isMember {
			return false
		}
		if ticks, isSpared := g.spared[parent.Pid]; isSpared && ticks == parent.Ticks || proc.Catches(parent.Pid, unix.SIGTERM) {
			return true
		}
		if g.wasTold(parent) {
			return false
		}
		each = parent
	}
	return false
}

// beginGraces turns requests into graces, and returns the trees that must be looked at now. The lock is held. While runs are due, which
// must not wait, a further look waits for up to sweepWithin.
func (k *Killer) beginGraces(isBusy bool) (due []*Tree) {
	now := time.Now()
	for _, tree := range k.terminating {
		if k.graces[tree] == nil {
			k.graces[tree] = &grace{began: now, told: map[int]uint64{}, spared: map[int]uint64{}}
		}
	}
	k.terminating = nil
	for tree, each := range k.graces {
		if !now.Before(each.next) && (each.looks == 0 || !isBusy || now.Sub(each.next) > sweepWithin) {
			due = append(due, tree)
		}
	}
	return due
}

// terminate signals the members of a tree, unless its grace has ended meanwhile.
func (k *Killer) terminate(tree *Tree, members []proc.Process) {
	k.mu.Lock()
	each := k.graces[tree]
	k.mu.Unlock()
	if each != nil {
		each.signal(tree, members)
	}
}

func (k *Killer) hasGraces() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.graces) > 0
}

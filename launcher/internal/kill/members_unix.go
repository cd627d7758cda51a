//go:build unix

package kill

import (
	"bytes"
	"math"
	"os"
	"slices"

	"shellcron.dev/launcher/internal/proc"
)

// hasSelf is false if the table cannot be trusted.
func hasSelf(table []proc.Process) bool {
	return slices.ContainsFunc(table, func(each proc.Process) bool { return each.Pid == os.Getpid() })
}

// membersOf says which processes belong to which tree: by cgroup, process group, session, ancestry, by having been seen before, or by
// the tree's mark in their environment. This process and its ancestors never do. A mark does not count for processes in the
// session of another running tree, which may be the next attempt of the same run.
func membersOf(trees []*Tree, table []proc.Process, running map[*Tree]bool) map[*Tree][]proc.Process {
	children, byPid := map[int][]proc.Process{}, map[int]proc.Process{}
	for _, each := range table {
		children[each.Parent] = append(children[each.Parent], each)
		byPid[each.Pid] = each
	}
	own := ancestors(byPid)
	marked := markedBy(trees, table, running)
	members := map[*Tree][]proc.Process{}
	for _, tree := range trees {
		found := map[int]bool{}
		var visit func(proc.Process)
		visit = func(each proc.Process) {
			if found[each.Pid] || own[each.Pid] {
				return
			}
			found[each.Pid] = true
			members[tree] = append(members[tree], each)
			for _, child := range children[each.Pid] {
				visit(child)
			}
		}
		first, exists := byPid[tree.pid]
		isReused := tree.ticks != 0 && exists && first.Ticks != tree.ticks
		byGroup := tree.isGroupKnown && !isReused
		for _, each := range table {
			if tree.owns(each, byGroup) {
				visit(each)
			}
		}
		for _, pid := range tree.pidsInGroups() {
			if each, exists := byPid[pid]; exists {
				visit(each)
			}
		}
		for _, each := range marked[tree] {
			visit(each)
		}
	}
	return members
}

func (t *Tree) owns(each proc.Process, byGroup bool) bool {
	if each.Pid == t.pid {
		return t.ticks == 0 || each.Ticks == t.ticks
	}
	if ticks, isStray := t.strays[each.Pid]; isStray && ticks == each.Ticks {
		return true
	}
	return byGroup && (each.Group == t.pid || each.Session == t.pid)
}

func markedBy(trees []*Tree, table []proc.Process, running map[*Tree]bool) map[*Tree][]proc.Process {
	byMark, otherSessions := map[string]*Tree{}, map[int]bool{}
	oldest := uint64(math.MaxUint64)
	for other := range running {
		otherSessions[other.pid] = true
	}
	for _, tree := range trees {
		delete(otherSessions, tree.pid)
		oldest = min(oldest, tree.ticks)
		if tree.mark != "" {
			byMark[tree.mark] = tree
		}
	}
	found := map[*Tree][]proc.Process{}
	if len(byMark) == 0 {
		return found
	}
	for _, each := range table {
		if each.Ticks < oldest || otherSessions[each.Session] {
			continue
		}
		for variable := range bytes.SplitSeq(proc.Environment(each.Pid), []byte{0}) {
			if tree := byMark[string(variable)]; tree != nil {
				found[tree] = append(found[tree], each)
			}
		}
	}
	return found
}

// ancestors are the pids of this process, its ancestors, and init.
func ancestors(byPid map[int]proc.Process) map[int]bool {
	pids := map[int]bool{1: true}
	for pid := os.Getpid(); pid != 0 && !pids[pid]; pid = byPid[pid].Parent {
		pids[pid] = true
	}
	return pids
}

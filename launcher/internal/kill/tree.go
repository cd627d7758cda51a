package kill

import (
	"sync/atomic"
	"time"

	"shellcron.dev/launcher/internal/cgroup"
	"shellcron.dev/launcher/internal/notes"
	"shellcron.dev/launcher/internal/proc"
)

// KillWithin is how long a tree is signalled again before it is given up.
const KillWithin = 3 * time.Second

const (
	// sparedFor is how long the command lives after the groups that it named in its notes were killed: it may still write output
	// that is on its way, and say how the rest ended.
	sparedFor = 2 * time.Second
	// A killed process takes a moment to leave its group.
	clearWithin = time.Second
	clearStep   = 5 * time.Millisecond
)

// Tree is a run's process tree. Its root is the command, which leads a session and a process group of its own.
type Tree struct {
	child Child
	pid   int
	ticks uint64 // 0: unknown
	mark  string
	// isGroupKnown is false if the tree was unobserved for so long that another process may have its group's number.
	isGroupKnown bool
	// strays are members that were seen outside the session, ticks by pid. They are remembered because their parent may end.
	strays map[int]uint64
	group  *cgroup.Group
	// isConfined: no process of the tree can leave its cgroup, which takes root's privileges.
	isConfined bool
	// notes is the path of the run's notes, or "". lastNamed are the groups that they named when the command ended.
	notes     string
	lastNamed atomic.Pointer[[]string]
	// sparedUntil: the command itself is not killed before.
	sparedUntil atomic.Pointer[time.Time]
}

// Traits are what a tree's processes are known by.
type Traits struct {
	Mark  string
	Group *cgroup.Group
	Notes string
	// MayBeRoot: the command has root's privileges, or may gain them.
	MayBeRoot bool
}

// NewTree is the tree of a command that has just started.
func NewTree(child Child, of Traits) *Tree {
	first, _ := proc.Read(child.Pid, true)
	return &Tree{
		child: child, pid: child.Pid, ticks: first.Ticks, mark: of.Mark, isGroupKnown: true, strays: map[int]uint64{},
		group: of.Group, isConfined: of.Group.Path() != "" && !of.MayBeRoot, notes: of.Notes,
	}
}

// LeftTree is a tree that an earlier launcher started. A pid of 0 is unknown.
func LeftTree(pid int, ticks uint64, of Traits) *Tree {
	leader, isAlive := proc.Read(pid, false)
	return &Tree{
		pid: pid, ticks: ticks, mark: of.Mark, strays: map[int]uint64{}, group: of.Group, notes: of.Notes,
		isGroupKnown: pid != 0 && (isAlive && leader.Ticks == ticks || of.Mark == ""),
	}
}

// Pid is the command's.
func (t *Tree) Pid() int { return t.pid }

// Ticks is the command's start; 0 if unknown.
func (t *Tree) Ticks() uint64 { return t.ticks }

// RunsElsewhere is true if the run has named control groups.
func (t *Tree) RunsElsewhere() bool { return len(t.named()) > 0 }

// CloseNotes reads the notes for the last time. Their file may be removed before the tree is dead.
func (t *Tree) CloseNotes() (told *string) {
	cgroups, told := notes.Read(t.notes)
	t.lastNamed.Store(&cgroups)
	return told
}

// ClearNamed kills and removes the groups that the run named. It is for the time between the command's end, when no more groups are
// named, and the report of that end: afterwards no launcher looks for them.
func (t *Tree) ClearNamed() {
	for until := time.Now().Add(clearWithin); ; time.Sleep(clearStep) {
		t.killNamed()
		if t.removeNamed() || time.Now().After(until) {
			return
		}
	}
}

// Spare lets the command itself live a little longer than the groups that it named. It must have had its SIGTERM: it starts nothing
// any more.
func (t *Tree) Spare() {
	until := time.Now().Add(sparedFor)
	t.sparedUntil.Store(&until)
}

// DoNotSpare takes Spare back.
func (t *Tree) DoNotSpare() { t.sparedUntil.Store(nil) }

func (t *Tree) isSpared(at time.Time) bool {
	until := t.sparedUntil.Load()
	return until != nil && at.Before(*until)
}

// named are the control groups that the run has named so far.
func (t *Tree) named() []string {
	if last := t.lastNamed.Load(); last != nil {
		return *last
	}
	cgroups, _ := notes.Read(t.notes)
	return cgroups
}

// pidsInGroups are the processes in the run's own control groups, and in those that it named.
func (t *Tree) pidsInGroups() []int {
	pids := t.group.Pids()
	for _, folder := range t.named() {
		pids = append(pids, cgroup.Pids(folder)...)
	}
	return pids
}

// HasProcesses is false if the tree's control groups are known to be empty. It does not read the process table.
func (t *Tree) HasProcesses() bool {
	if !t.group.IsVacant() {
		return true
	}
	for _, folder := range t.named() {
		if len(cgroup.Pids(folder)) > 0 {
			return true
		}
	}
	return false
}

func (t *Tree) killNamed() {
	for _, folder := range t.named() {
		cgroup.Kill(folder)
	}
}

// removeNamed is false while a process is in one of the groups. A killed one takes a moment to leave.
func (t *Tree) removeNamed() bool {
	areGone := true
	for _, folder := range t.named() {
		areGone = cgroup.Remove(folder) && areGone
	}
	return areGone
}

//go:build unix

package kill

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/proc"
)

const (
	// Processes can fork while they are killed: the table is read again after killRound, until KillWithin has passed.
	killRound = 100 * time.Millisecond
	// After ordinary ends, leftovers are looked for after sweepAfter …
	sweepAfter = 250 * time.Millisecond
	// … but while runs are due, which must not wait, up to sweepWithin later.
	sweepWithin = 2 * time.Second
)

// Killer signals whole trees. Processes that left their group (setsid, daemons) are found in the process table, which is read once
// for all trees that wait.
type Killer struct {
	// IsBusy is true while runs are due. Set it before the first use.
	IsBusy func() bool

	reaper *Reaper
	wake   chan struct{}

	mu sync.Mutex
	// running are the trees that are not over. The value is true while the command itself runs.
	running     map[*Tree]bool
	terminating []*Tree
	// graces are of the trees that got SIGTERM, until their SIGKILL or the end of their run.
	graces map[*Tree]*grace
	looks  []look
	// killing has the time at which each tree is given up.
	killing    map[*Tree]time.Time
	sweeping   []*Tree
	sweepAt    time.Time
	sweepTimer *time.Timer
	// leftMarks and leftSessions are those of trees that go on outside of their runs.
	leftMarks    map[string]bool
	leftSessions map[int]bool
	// endedRuns counts since memory was last given back.
	endedRuns int
	isIdle    bool
}

// NewKiller returns a killer that needs Work.
func NewKiller(reaper *Reaper) *Killer {
	return &Killer{
		reaper: reaper, wake: make(chan struct{}, 1), IsBusy: func() bool { return false },
		running: map[*Tree]bool{}, killing: map[*Tree]time.Time{}, graces: map[*Tree]*grace{}, isIdle: true,
		leftMarks: map[string]bool{}, leftSessions: map[int]bool{},
	}
}

// Watch says that the tree's command runs, until Exited.
func (k *Killer) Watch(tree *Tree) {
	k.mu.Lock()
	k.running[tree] = true
	k.mu.Unlock()
}

// Exited says that the tree's command has ended. Other processes of the tree may live until Unwatch.
func (k *Killer) Exited(tree *Tree) {
	k.mu.Lock()
	k.running[tree] = false
	k.mu.Unlock()
}

// Unwatch says that the run is over: what is left of its tree may be killed.
func (k *Killer) Unwatch(tree *Tree) {
	k.mu.Lock()
	delete(k.running, tree)
	delete(k.graces, tree)
	k.endedRuns++
	k.mu.Unlock()
}

// Terminate sends SIGTERM to every process of the tree, until Kill or Unwatch also to those that begin later.
func (k *Killer) Terminate(tree *Tree) {
	k.request(func() { k.terminating = append(k.terminating, tree) })
}

// Kill sends SIGKILL, again and again until no process of the tree is found.
func (k *Killer) Kill(tree *Tree) {
	now := time.Now()
	until := now.Add(KillWithin)
	if tree.isSpared(now) {
		until = until.Add(sparedFor)
	}
	k.request(func() {
		k.killing[tree] = until
		delete(k.graces, tree)
	})
}

func (k *Killer) request(note func()) {
	k.mu.Lock()
	note()
	k.isIdle = false
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// WaitIdle returns when nothing is left to be killed, or after `within`. Sweeps begin at once.
func (k *Killer) WaitIdle(within time.Duration) {
	k.mu.Lock()
	k.sweepAt = time.Time{}
	k.mu.Unlock()
	k.request(func() {})
	for until := time.Now().Add(within); time.Now().Before(until); time.Sleep(time.Millisecond) {
		k.mu.Lock()
		isIdle := k.isIdle && len(k.sweeping) == 0
		k.mu.Unlock()
		if isIdle {
			return
		}
	}
}

// Work signals until the process ends.
func (k *Killer) Work() {
	for {
		if k.round() && !k.hasGraces() {
			k.returnMemory()
			<-k.wake
			continue
		}
		select {
		case <-k.wake:
		case <-time.After(killRound):
		}
	}
}

// round looks up and signals all trees that wait; true if none is left. A tree is looked up before its first process ends, as an
// orphan is not known by its parent.
func (k *Killer) round() (isIdle bool) {
	began := time.Now()
	terminating, killing, running := k.take()
	looks := k.takeLooks()
	if len(terminating)+len(killing)+len(looks) == 0 {
		return k.isWithoutLooks()
	}
	uncertain := slices.DeleteFunc(slices.Clone(killing), func(tree *Tree) bool {
		return tree.group.IsEmpty() && tree.isConfined && tree.notes == ""
	})
	if len(terminating)+len(uncertain)+len(looks) == 0 {
		return k.settle(killing, nil, began)
	}
	isStarting := k.reaper.IsStarting()
	table := proc.Table()
	if !hasSelf(table) {
		signalGroups(terminating, running, unix.SIGTERM)
		signalGroups(killing, running, unix.SIGKILL)
		k.lookAgain(looks)
		return false
	}
	answerLooks(looks, table, running)
	found := membersOf(terminating, table, running)
	for _, tree := range terminating {
		k.terminate(tree, found[tree])
	}
	found = membersOf(uncertain, table, running)
	for _, tree := range uncertain {
		tree.killMembers(found[tree], began)
	}
	if !isStarting {
		k.killOrphans(table)
	}
	return k.settle(killing, found, began)
}

// take returns the trees that wait, and those whose command runs.
func (k *Killer) take() (terminating, killing []*Tree, running map[*Tree]bool) {
	isBusy := k.IsBusy()
	k.mu.Lock()
	defer k.mu.Unlock()
	terminating = k.beginGraces(isBusy)
	k.promoteSweeps()
	for tree := range k.killing {
		killing = append(killing, tree)
	}
	k.isIdle = len(terminating)+len(killing) == 0
	running = make(map[*Tree]bool, len(k.running))
	for tree, hasCommand := range k.running {
		running[tree] = hasCommand
	}
	return terminating, killing, running
}

// settle drops trees that are dead, and those that do not die within their time.
func (k *Killer) settle(killing []*Tree, found map[*Tree][]proc.Process, began time.Time) (isIdle bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, tree := range killing {
		isGone := len(found[tree]) == 0 && (!tree.group.IsReleased() || tree.group.IsEmpty())
		if until := k.killing[tree]; isGone && tree.removeNamed() || began.After(until) {
			delete(k.killing, tree)
		}
	}
	k.isIdle = len(k.killing)+len(k.terminating)+len(k.looks) == 0
	return k.isIdle
}

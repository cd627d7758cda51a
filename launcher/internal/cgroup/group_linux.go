package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"shellcron.dev/launcher/internal/wire"
)

// Group is one run's control groups. A nil Group has none; its methods do nothing.
type Group struct {
	v2 string
	// v1 is by controller: all of them for a run with limits, else only pids.
	v1 map[string]string
	// slice is the group of all runs in the hierarchy pids of version 1, for a run that could not get a group of its own there.
	slice       string
	v2HasLimits bool
	limits      wire.Resources
	isReleased  atomic.Bool
	// isGone is used by the killer only, once the run has started.
	isGone bool
}

// Make makes a run's groups and sets its limits.
func (h *Hierarchy) Make(limits *wire.Resources) (*Group, error) {
	if h.v2 == "" && h.v1["pids"] == "" && limits == nil {
		return nil, nil
	}
	g := &Group{v1: map[string]string{}, v2HasLimits: h.v2HasLimits}
	name := h.nextName()
	err := g.makeV2(h.v2, name)
	for errors.Is(err, os.ErrExist) {
		// An earlier launcher's, with a process in it that does not die.
		name = h.nextName()
		err = g.makeV2(h.v2, name)
	}
	if err == nil && limits != nil {
		g.limits = *limits
		err = g.makeV1(h.v1, name)
		if err == nil {
			err = g.limit()
		}
	}
	if err == nil && g.limits.Pids == 0 {
		g.limitPids(h, name)
	}
	if err != nil {
		g.Remove()
		return nil, err
	}
	return g, nil
}

// Left is a run's group of version 2 that an earlier launcher made. It can be killed and removed.
func Left(path string) *Group {
	g := &Group{v2: path}
	g.Release()
	return g
}

// Path is the group of version 2, or "".
func (g *Group) Path() string {
	if g == nil {
		return ""
	}
	return g.v2
}

func (h *Hierarchy) nextName() string { return "run-" + strconv.FormatUint(h.made.Add(1), 10) }

func (g *Group) makeV2(base, name string) error {
	if base == "" {
		return nil
	}
	folder := filepath.Join(base, name)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	g.v2 = folder
	return nil
}

func (g *Group) makeV1(bases map[string]string, name string) error {
	for controller, base := range bases {
		folder := filepath.Join(base, name)
		if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		g.v1[controller] = folder
	}
	return nil
}

// IsEmpty is true if there were groups and no process is left in them. It costs one system call.
func (g *Group) IsEmpty() bool { return g != nil && (g.isGone || g.IsReleased() && g.Remove()) }

// IsVacant is true if there is a group of version 2 and no process lives in it. Unlike IsEmpty, it removes nothing.
func (g *Group) IsVacant() bool {
	if g == nil || g.v2 == "" {
		return false
	}
	if g.isGone {
		return true
	}
	events, err := os.ReadFile(filepath.Join(g.v2, "cgroup.events"))
	return err == nil && strings.Contains("\n"+string(events), "\npopulated 0\n")
}

// Pids returns the processes in the groups and below.
func (g *Group) Pids() []int {
	var pids []int
	for _, folder := range g.folders() {
		pids = append(pids, Pids(folder)...)
	}
	return pids
}

// Leave moves the processes to the groups `left`, where they are no longer the run's. They may fork meanwhile.
func (g *Group) Leave() {
	const tries = 100
	for range tries {
		pids := g.Pids()
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			g.leaveOne(strconv.Itoa(pid))
		}
	}
}

func (g *Group) leaveOne(pid string) {
	var launchers []string
	for _, folder := range append(g.enteredV1(), g.v2) {
		switch folder {
		case "":
		case g.slice:
			launchers = append(launchers, filepath.Dir(folder))
		default:
			launchers = append(launchers, filepath.Dir(filepath.Dir(folder)))
		}
	}
	for _, folder := range launchers {
		to := filepath.Join(folder, left)
		if err := os.Mkdir(to, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			continue
		}
		// It fails if the process has just ended.
		_ = Write(to, "cgroup.procs", pid)
	}
}

// WasLeft says whether a process is in a group `left`.
func WasLeft(pid int) bool { return filepath.Base(Of(pid)[V2]) == left }

// Kill sends SIGKILL to all of them.
func (g *Group) Kill() {
	for _, folder := range g.folders() {
		Kill(folder)
	}
}

// Release allows the groups to be removed: the run has ended and they hold no more information.
func (g *Group) Release() {
	if g != nil {
		g.isReleased.Store(true)
	}
}

// IsReleased says whether Release was called.
func (g *Group) IsReleased() bool { return g != nil && g.isReleased.Load() }

// Remove is false while a process lives in the groups.
func (g *Group) Remove() bool {
	if g == nil || g.isGone {
		return true
	}
	isGone := g.v2 == "" || Remove(g.v2)
	for _, folder := range g.v1 {
		isGone = Remove(folder) && isGone
	}
	g.isGone = isGone
	return isGone
}

// folders are where processes of the run may be.
func (g *Group) folders() []string {
	if g == nil || g.isGone {
		return nil
	}
	var folders []string
	if g.v2 != "" {
		folders = append(folders, g.v2)
	}
	if pids, isLimited := g.v1["pids"]; isLimited {
		folders = append(folders, pids)
	}
	return folders
}

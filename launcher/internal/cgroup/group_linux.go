package cgroup

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"shellcron.dev/launcher/internal/wire"
)

const cpuPeriodUs = 100_000

// Group is one run's control groups. A nil Group has none; its methods do nothing.
type Group struct {
	v2 string
	// v1 is by controller, and only for a run with limits.
	v1          map[string]string
	v2HasLimits bool
	limits      wire.Resources
	isReleased  atomic.Bool
	// isGone is used by the killer only, once the run has started.
	isGone bool
}

// Make makes a run's groups and sets its limits. Without limits, there is no group of version 1.
func (h *Hierarchy) Make(limits *wire.Resources) (*Group, error) {
	if h.v2 == "" && limits == nil {
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

// limit sets what can be set before the start. Memory has no swap: a run at its limit would only become slow.
func (g *Group) limit() error {
	write := func(group, name string, value float64) error {
		return Write(group, name, strconv.FormatInt(wire.Bytes(value), 10))
	}
	if memory := g.limits.MemoryBytes; memory > 0 && g.v2HasLimits {
		_ = Write(g.v2, "memory.swap.max", "0")
		_ = Write(g.v2, "memory.oom.group", "1")
		if err := write(g.v2, "memory.max", memory); err != nil {
			return err
		}
	} else if memory > 0 {
		if err := write(g.v1["memory"], "memory.limit_in_bytes", memory); err != nil {
			return err
		}
		_ = write(g.v1["memory"], "memory.memsw.limit_in_bytes", memory)
	}
	if pids := math.Ceil(g.limits.Pids); pids > 0 && g.v2HasLimits {
		return write(g.v2, "pids.max", pids)
	} else if pids > 0 {
		// One more for the launcher's thread, which is in the group during the start.
		return write(g.v1["pids"], "pids.max", pids+1)
	}
	return nil
}

// LimitAfterStart sets the rest. If the CPU were limited before the exec, the thread that starts the command would be throttled too.
func (g *Group) LimitAfterStart() {
	if g == nil {
		return
	}
	if quota := int64(g.limits.CPUMillis * cpuPeriodUs / 1000); g.limits.CPUMillis > 0 {
		// The kernel's minimum is 1 ms.
		quota = max(quota, 1000)
		if g.v2HasLimits {
			_ = Write(g.v2, "cpu.max", fmt.Sprintf("%d %d", quota, cpuPeriodUs))
		} else {
			_ = Write(g.v1["cpu"], "cpu.cfs_period_us", strconv.Itoa(cpuPeriodUs))
			_ = Write(g.v1["cpu"], "cpu.cfs_quota_us", strconv.FormatInt(quota, 10))
		}
	}
	if group := g.v1["pids"]; group != "" && g.limits.Pids > 0 {
		_ = Write(group, "pids.max", strconv.FormatInt(wire.Bytes(math.Ceil(g.limits.Pids)), 10))
	}
}

// WasOOM says whether the kernel killed a process of the run for lack of memory; nil if that is not counted.
func (g *Group) WasOOM() *bool {
	if g == nil {
		return nil
	}
	path := filepath.Join(g.v2, "memory.events")
	if group, isLimited := g.v1["memory"]; isLimited {
		path = filepath.Join(group, "memory.oom_control")
	} else if !g.v2HasLimits {
		return nil
	}
	wasKilled := OOMKills(path) > 0
	return &wasKilled
}

// IsEmpty is true if there were groups and no process is left in them. It costs one system call.
func (g *Group) IsEmpty() bool { return g != nil && (g.isGone || g.IsReleased() && g.Remove()) }

// Pids returns the processes in the groups and below.
func (g *Group) Pids() []int {
	var pids []int
	for _, folder := range g.folders() {
		pids = append(pids, Pids(folder)...)
	}
	return pids
}

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

package cgroup

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"

	"shellcron.dev/launcher/internal/wire"
)

const cpuPeriodUs = 100_000

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
	return g.limitPidsBeforeStart()
}

func (g *Group) limitPidsBeforeStart() error {
	pids, folder := wire.Bytes(math.Ceil(g.limits.Pids)), g.v2
	if pids <= 0 {
		return nil
	}
	if !g.v2HasLimits {
		// One more for the launcher's thread, which is in the group during the start.
		pids, folder = pids+1, g.v1["pids"]
	}
	return Write(folder, "pids.max", strconv.FormatInt(pids, 10))
}

// limitPids sets the limit of a run that has none of its own. Nobody asked for it: a run for which it cannot be set has only the limit
// of the slice.
func (g *Group) limitPids(h *Hierarchy, name string) {
	if h.runPids > 0 && (g.v2HasLimits || g.makeV1(map[string]string{"pids": h.v1["pids"]}, name) == nil) {
		g.limits.Pids = float64(h.runPids)
		if g.limitPidsBeforeStart() != nil {
			g.limits.Pids = 0
		}
	}
	if g.v1["pids"] == "" {
		g.slice = h.v1["pids"]
	}
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

// WasPidsRefused says whether the run could not start a process because of a limit of processes. It is false where that is not counted.
func (g *Group) WasPidsRefused() bool {
	if g == nil {
		return false
	}
	folder := g.v1["pids"]
	if folder == "" && g.v2HasLimits {
		folder = g.v2
	}
	return folder != "" && eventCount(filepath.Join(folder, "pids.events"), "max") > 0
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

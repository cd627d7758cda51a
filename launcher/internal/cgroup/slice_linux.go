package cgroup

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// sliceShare is the part of the machine's processes that all runs together may have, in percent.
const sliceShare = 80

// runShare is the part of the slice that a run without a limit of its own may have, in percent: one fork bomb alone cannot keep the
// other runs from starting.
const runShare = 50

// limitSlice limits the processes of all runs together, so that the launcher, the agent and the machine can always start one. A limit
// of 0 means sliceShare of what the machine allows. It also sets the limit of a run that has none of its own.
func (h *Hierarchy) limitSlice(limit int) {
	folder := h.v1["pids"]
	if h.v2HasLimits {
		folder = h.v2
	}
	if folder == "" {
		slog.Warn("slice.unlimited", "reason", "no writable cgroup has the controller pids")
		return
	}
	if limit == 0 {
		limit = max(machinePids(folder)*sliceShare/100, 1)
	}
	if err := Write(folder, "pids.max", strconv.Itoa(limit)); err != nil {
		slog.Warn("slice.unlimited", "reason", err)
		return
	}
	h.runPids = max(limit*runShare/100, 1)
}

// machinePids is how many processes the machine allows: by its kernel's settings, and by the groups above.
func machinePids(folder string) int {
	least := 1 << 22 // the kernel's own limit
	files := []string{"/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"}
	for above := filepath.Dir(folder); len(above) > 1; above = filepath.Dir(above) {
		files = append(files, filepath.Join(above, "pids.max"))
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if number, bad := strconv.Atoi(strings.TrimSpace(string(content))); err == nil && bad == nil {
			least = min(least, number)
		}
	}
	return least
}

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const cpuPeriodUs = 100_000

// runGroup is one run's control groups; nil: it has none.
type runGroup struct {
	v2 string
	// v1 is by controller, only for a run with limits.
	v1     map[string]string
	isFull bool
	limits resources
	over   atomic.Bool
	// gone is the killer's, once the run has started.
	gone bool
}

// make makes a run's groups with its limits. Without limits v1 is left alone.
func (c *cgroups) make(limits *resources) (*runGroup, error) {
	if c.v2 == "" && limits == nil {
		return nil, nil
	}
	g := &runGroup{v1: map[string]string{}, isFull: c.isV2Full}
	name := c.nextName()
	err := g.makeV2(c.v2, name)
	for errors.Is(err, os.ErrExist) {
		// An earlier launcher's, with something in it that will not die.
		name = c.nextName()
		err = g.makeV2(c.v2, name)
	}
	if err == nil && limits != nil {
		g.limits = *limits
		err = g.makeV1(c.v1, name)
		if err == nil {
			err = g.limit()
		}
	}
	if err != nil {
		g.remove()
		return nil, err
	}
	return g, nil
}

func (c *cgroups) nextName() string {
	return "run-" + strconv.FormatUint(atomic.AddUint64(&c.made, 1), 10)
}

func (g *runGroup) makeV2(base, name string) error {
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

func (g *runGroup) makeV1(bases map[string]string, name string) error {
	for controller, base := range bases {
		folder := filepath.Join(base, name)
		if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		g.v1[controller] = folder
	}
	return nil
}

// limit writes what can be written before the start. Memory is limited without swap: a limit that pages out is none.
func (g *runGroup) limit() error {
	write := func(group, name string, value float64) error {
		return writeFile(group, name, strconv.FormatInt(wholeBytes(value), 10))
	}
	if memory := g.limits.MemoryBytes; memory > 0 && g.isFull {
		_ = writeFile(g.v2, "memory.swap.max", "0")
		_ = writeFile(g.v2, "memory.oom.group", "1")
		if err := write(g.v2, "memory.max", memory); err != nil {
			return err
		}
	} else if memory > 0 {
		if err := write(g.v1["memory"], "memory.limit_in_bytes", memory); err != nil {
			return err
		}
		_ = write(g.v1["memory"], "memory.memsw.limit_in_bytes", memory)
	}
	if pids := math.Ceil(g.limits.Pids); pids > 0 && g.isFull {
		return write(g.v2, "pids.max", pids)
	} else if pids > 0 {
		// One more for our thread, which is in there for the start.
		return write(g.v1["pids"], "pids.max", pids+1)
	}
	return nil
}

// limitAfterStart: a command that is throttled before its exec would hold up the thread that starts it.
func (g *runGroup) limitAfterStart() {
	if g == nil {
		return
	}
	if quota := int64(g.limits.CPUMillis * cpuPeriodUs / 1000); g.limits.CPUMillis > 0 {
		// The kernel takes no less than 1 ms.
		quota = max(quota, 1000)
		if g.isFull {
			_ = writeFile(g.v2, "cpu.max", fmt.Sprintf("%d %d", quota, cpuPeriodUs))
		} else {
			_ = writeFile(g.v1["cpu"], "cpu.cfs_period_us", strconv.Itoa(cpuPeriodUs))
			_ = writeFile(g.v1["cpu"], "cpu.cfs_quota_us", strconv.FormatInt(quota, 10))
		}
	}
	if group := g.v1["pids"]; group != "" && g.limits.Pids > 0 {
		_ = writeFile(group, "pids.max", strconv.FormatInt(wholeBytes(math.Ceil(g.limits.Pids)), 10))
	}
}

// enter lets what is started until `leave` be born in the groups: v2 by clone3, v1 by moving our own thread there, which costs
// no lock of the kernel's as long as a thread moves itself.
func (g *runGroup) enter(attr *syscall.SysProcAttr) (leave func(), err error) {
	if g == nil {
		return func() {}, nil
	}
	if g.v2 != "" {
		fd, err := unix.Open(g.v2, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, os.NewSyscallError("open cgroup", err)
		}
		attr.UseCgroupFD, attr.CgroupFD = true, fd
	}
	leave = func() {
		if attr.UseCgroupFD {
			_ = unix.Close(attr.CgroupFD)
		}
		g.leaveV1()
	}
	if len(g.v1) > 0 {
		runtime.LockOSThread()
	}
	for _, group := range g.v1 {
		if err := writeFile(group, "tasks", "0"); err != nil {
			leave()
			return nil, err
		}
	}
	return leave, nil
}

// leaveV1 brings our thread back to the launcher's own groups, where the base lies.
func (g *runGroup) leaveV1() {
	if len(g.v1) == 0 {
		return
	}
	for _, group := range g.v1 {
		if err := writeFile(filepath.Dir(filepath.Dir(group)), "tasks", "0"); err != nil {
			logEvent(levelError, "cgroup.unleavable", fields{"cgroup": group, "error": err})
		}
	}
	runtime.UnlockOSThread()
}

// wasOom is nil where memory is not watched.
func (g *runGroup) wasOom() *bool {
	if g == nil {
		return nil
	}
	file := filepath.Join(g.v2, "memory.events")
	if group, limited := g.v1["memory"]; limited {
		file = filepath.Join(group, "memory.oom_control")
	} else if !g.isFull {
		return nil
	}
	isOom := false
	for _, line := range readLines(file) {
		if count, found := strings.CutPrefix(line, "oom_kill "); found && count != "0" {
			isOom = true
		}
	}
	return &isOom
}

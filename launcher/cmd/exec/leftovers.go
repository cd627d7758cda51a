//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/cgroup"
	"shellcron.dev/launcher/internal/proc"
)

const (
	// A process that ends within this time of the command is no leftover.
	leftoverAfter = 100 * time.Millisecond
	leftoverStep  = 20 * time.Millisecond
	// maxNamed is how many leftovers the message names.
	maxNamed = 10
)

// settleLeftovers ends the processes that outlived the command, with the grace, or lets them go. If the launcher ends the run, it has
// sent SIGTERM, and sends SIGKILL after the grace: then this only waits.
func (c *command) settleLeftovers() {
	defer c.confined.killUnlessLeft()
	if c.isTerminated() {
		c.confined.awaitEmpty(nil)
		return
	}
	if len(c.confined.pids()) == 0 {
		return
	}
	time.Sleep(leftoverAfter)
	pids := c.confined.pids()
	if len(pids) == 0 || c.isTerminated() {
		c.confined.awaitEmpty(nil)
		return
	}
	isLeft := c.asked.Leftovers == "Leave"
	c.leftovers = describeLeftovers(pids, isLeft)
	if isLeft {
		c.confined.leave()
		return
	}
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGTERM)
	}
	c.confined.awaitEmpty(time.After(time.Duration(c.asked.GraceMs * float64(time.Millisecond))))
}

func (c *command) isTerminated() bool {
	select {
	case <-c.terminated:
		return true
	default:
		return false
	}
}

func describeLeftovers(pids []int, isLeft bool) string {
	many, was, goes := fmt.Sprintf("%d processes", len(pids)), "were", "go"
	if len(pids) == 1 {
		many, was, goes = "1 process", "was", "goes"
	}
	what := was + " ended (leftovers: Kill)"
	if isLeft {
		what = goes + " on (leftovers: Leave)"
	}
	var named []string
	for _, pid := range pids[:min(len(pids), maxNamed)] {
		named = append(named, fmt.Sprintf("%s (%d)", printable(proc.Name(pid)), pid))
	}
	if len(pids) > maxNamed {
		named = append(named, "…")
	}
	return fmt.Sprintf("%s outlived the script and %s: %s", many, what, strings.Join(named, ", "))
}

// printable: a process may call itself anything.
func printable(name string) string {
	return strings.Map(func(each rune) rune {
		if unicode.IsPrint(each) {
			return each
		}
		return '?'
	}, strings.ToValidUTF8(name, "?"))
}

// pids are the processes in the command's groups.
func (c *confinement) pids() (pids []int) {
	for _, hierarchy := range []string{cgroup.V2, "pids"} {
		if group := c.groups[hierarchy]; group != "" {
			pids = append(pids, cgroup.Pids(group)...)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// awaitEmpty returns when no process is in the groups, or at `until`.
func (c *confinement) awaitEmpty(until <-chan time.Time) {
	for len(c.pids()) > 0 {
		select {
		case <-until:
			return
		case <-time.After(leftoverStep):
		}
	}
}

// leave moves the processes to the container's own groups. They may fork meanwhile.
func (c *confinement) leave() {
	const tries = 100
	c.isLeft = true
	for range tries {
		pids := c.pids()
		if len(pids) == 0 {
			return
		}
		for _, group := range c.paths() {
			for _, pid := range pids {
				// It fails if the process has just ended.
				_ = cgroup.Write(filepath.Dir(group), "cgroup.procs", strconv.Itoa(pid))
			}
		}
	}
}

func (c *confinement) killUnlessLeft() {
	if !c.isLeft {
		c.kill()
	}
}

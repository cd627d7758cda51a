package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// isEmpty: there were groups and they are gone: nobody is left in them. That costs one call.
func (g *runGroup) isEmpty() bool {
	return g != nil && (g.gone || g.isOver() && g.remove())
}

// folders are where processes of the run may be.
func (g *runGroup) folders() []string {
	if g == nil || g.gone {
		return nil
	}
	var folders []string
	if g.v2 != "" {
		folders = append(folders, g.v2)
	}
	if pids, limited := g.v1["pids"]; limited {
		folders = append(folders, pids)
	}
	return folders
}

// pids are those of all processes in the run's groups and the groups that it made below.
func (g *runGroup) pids() []int {
	var pids []int
	for _, folder := range g.folders() {
		pids = append(pids, pidsIn(folder)...)
	}
	return pids
}

// kill is SIGKILL to all of them at once.
func (g *runGroup) kill() {
	for _, folder := range g.folders() {
		killGroup(folder)
	}
}

// isOver: all that is told of the run is known, and its groups may go.
func (g *runGroup) isOver() bool { return g != nil && g.over.Load() }

// end lets the groups go.
func (g *runGroup) end() {
	if g != nil {
		g.over.Store(true)
	}
}

// remove is false while something still lives there.
func (g *runGroup) remove() bool {
	if g == nil || g.gone {
		return true
	}
	isGone := g.v2 == "" || removeGroup(g.v2)
	for _, folder := range g.v1 {
		isGone = removeGroup(folder) && isGone
	}
	g.gone = isGone
	return isGone
}

func (g *runGroup) journalled() string {
	if g == nil {
		return ""
	}
	return g.v2
}

// What was killed takes a moment to be gone.
const (
	clearFor  = time.Second
	clearStep = 5 * time.Millisecond
)

// clearGroup kills what is in there and removes the folder. One whose processes will not die stays.
func clearGroup(folder string) {
	for until := time.Now().Add(clearFor); ; time.Sleep(clearStep) {
		killGroup(folder)
		if removeGroup(folder) || time.Now().After(until) {
			return
		}
	}
}

func killGroup(folder string) {
	if writeFile(folder, "cgroup.kill", "1") == nil {
		return
	}
	for _, pid := range pidsIn(folder) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

func pidsIn(folder string) []int {
	var pids []int
	content, _ := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	for line := range strings.FieldsSeq(string(content)) {
		if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	for _, below := range groupsIn(folder) {
		pids = append(pids, pidsIn(below)...)
	}
	return pids
}

// removeGroup also removes what a run that may made below.
func removeGroup(folder string) bool {
	err := unix.Rmdir(folder)
	if err == nil || err == unix.ENOENT {
		return true
	}
	for _, below := range groupsIn(folder) {
		removeGroup(below)
	}
	return unix.Rmdir(folder) == nil
}

func groupsIn(folder string) []string {
	entries, _ := os.ReadDir(folder)
	var groups []string
	for _, entry := range entries {
		if entry.IsDir() {
			groups = append(groups, filepath.Join(folder, entry.Name()))
		}
	}
	return groups
}

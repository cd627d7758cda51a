// Package cgroup makes, limits and kills control groups of Linux, of both versions.
package cgroup

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// controllers are what limits of a run need.
var controllers = []string{"cpu", "memory", "pids"}

// The names of the groups in the launcher's folder.
const (
	// slice has the groups of all runs.
	slice = "runs"
	// left has processes that outlived their run, and may.
	left = "left"
)

// Hierarchy is where the launcher's runs get their control groups: below the group that the launcher was started in. Version 2
// serves to kill runs wherever its hierarchy can be written. Limits are set by version 2 if its controllers are delegated, else by
// version 1.
//
//	the launcher's own group / shellcron-<hash> / runs / run-1
//	                                            / left
type Hierarchy struct {
	// v2 is "" without one.
	v2          string
	v2HasLimits bool
	// v1 has one folder for each controller; none if v2 has limits.
	v1 map[string]string
	// runPids is the limit of processes of a run that has none of its own; 0: none.
	runPids int
	made    atomic.Uint64
}

// NewHierarchy makes the launcher's own groups, named after its state directory, and kills what an earlier launcher left there.
// pidsLimit is for the processes of all runs together; 0 is the default.
func NewHierarchy(stateDir string, pidsLimit int) *Hierarchy {
	name := nameOf(stateDir, pidNamespace())
	h := &Hierarchy{v1: map[string]string{}}
	own, mounts := Own(), ReadMounts()
	if parent := mounts.Folder(V2, own[V2]); parent != "" {
		base := filepath.Join(parent, name)
		if makeBase(base) == nil {
			h.v2 = filepath.Join(base, slice)
			h.v2HasLimits = enableControllers(parent) == nil && enableControllers(base) == nil && enableControllers(h.v2) == nil
		}
	}
	for _, controller := range controllers {
		parent := mounts.Folder(controller, own[controller])
		if base := filepath.Join(parent, name); parent != "" && !h.v2HasLimits && makeBase(base) == nil {
			h.v1[controller] = filepath.Join(base, slice)
		}
	}
	h.limitSlice(pidsLimit)
	return h
}

// initialPidNamespace is PROC_PID_INIT_INO of the kernel.
const initialPidNamespace = "pid:[4026531836]"

// nameOf names the launcher's groups. Nodes that are containers of one machine may see the same control groups, and have the same state
// directories. Without the PID namespace in the name, a launcher that starts on one node would kill the runs of another.
func nameOf(stateDir, pidNamespace string) string {
	whose, _ := filepath.Abs(stateDir)
	if pidNamespace != "" && pidNamespace != initialPidNamespace {
		whose += "\x00" + pidNamespace
	}
	return fmt.Sprintf("shellcron-%x", sha256.Sum256([]byte(whose)))[:len("shellcron-")+16]
}

// pidNamespace is "" where /proc does not tell.
func pidNamespace() string {
	name, _ := os.Readlink("/proc/self/ns/pid")
	return name
}

// CanLimit is true if runs can have resources.
func (h *Hierarchy) CanLimit() bool { return h.v2HasLimits || len(h.v1) == len(controllers) }

// KillAll kills every process in the runs' groups, as far as version 2 has them.
func (h *Hierarchy) KillAll() {
	if h.v2 != "" {
		Kill(h.v2)
	}
}

// Remove is for the launcher's end.
func (h *Hierarchy) Remove() {
	if h.v2 != "" {
		Remove(filepath.Dir(h.v2))
	}
	for _, runs := range h.v1 {
		Remove(filepath.Dir(runs))
	}
}

// makeBase makes the launcher's folder and the slice in it, checks that it can be written, and removes the groups of an earlier
// launcher's runs.
func makeBase(base string) error {
	if err := os.Mkdir(base, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for _, each := range groupsIn(base) {
		if filepath.Base(each) != left {
			killAndRemove(each)
		}
	}
	runs := filepath.Join(base, slice)
	if err := os.Mkdir(runs, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return unix.Access(filepath.Join(runs, "cgroup.procs"), unix.W_OK)
}

// enableControllers delegates the controllers to the groups below. A group that has processes of its own must not do that (EBUSY).
// If the launcher is the only one, it moves to a group below.
func enableControllers(group string) error {
	available, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range controllers {
		if !slices.Contains(strings.Fields(string(available)), controller) {
			return errors.New(controller + " is not delegated")
		}
	}
	enable := func() error { return Write(group, "cgroup.subtree_control", "+cpu +memory +pids") }
	err = enable()
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	leaf := filepath.Join(group, "launcher")
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := Write(leaf, "cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	if err = enable(); err != nil {
		_ = Write(group, "cgroup.procs", strconv.Itoa(os.Getpid()))
		_ = os.Remove(leaf)
	}
	return err
}

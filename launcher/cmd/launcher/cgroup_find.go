package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// controllers are what `resources` needs.
var controllers = []string{"cpu", "memory", "pids"}

// cgroups is where this launcher's runs get their control groups: below the group it was started in, v2 wherever a v2 hierarchy
// can be written (to kill by), and the limits by v2 if its controllers are delegated to us, else by v1.
type cgroups struct {
	// v2 is "" without one.
	v2       string
	isV2Full bool
	// v1 is one folder for each controller; empty if v2 limits, or not all are there.
	v1   map[string]string
	made uint64
}

func (c *cgroups) canLimit() bool { return c.isV2Full || len(c.v1) == len(controllers) }

// findCgroups makes the launcher's own folders, named after its state directory, and kills what an earlier launcher left there.
func findCgroups(stateDir string) *cgroups {
	absolute, _ := filepath.Abs(stateDir)
	name := fmt.Sprintf("shellcron-%x", sha256.Sum256([]byte(absolute)))[:len("shellcron-")+16]
	c := &cgroups{v1: map[string]string{}}
	own := ownCgroups()
	if parent, mounted := own[""]; mounted {
		base := filepath.Join(parent, name)
		if makeBase(base) == nil {
			c.v2 = base
			c.isV2Full = enableControllers(parent) == nil && enableControllers(base) == nil
		}
	}
	for _, controller := range controllers {
		parent, mounted := own[controller]
		if base := filepath.Join(parent, name); mounted && !c.isV2Full && makeBase(base) == nil {
			c.v1[controller] = base
		}
	}
	return c
}

// makeBase makes a folder that we may write, and empties it.
func makeBase(base string) error {
	if err := os.Mkdir(base, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	left, _ := os.ReadDir(base)
	for _, entry := range left {
		if entry.IsDir() {
			clearGroup(filepath.Join(base, entry.Name()))
		}
	}
	return unix.Access(filepath.Join(base, "cgroup.procs"), unix.W_OK)
}

// enableControllers hands the controllers down to the groups below. A group with processes of its own may not (EBUSY): where
// that is only ourselves, we move to a leaf.
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
	enable := func() error { return writeFile(group, "cgroup.subtree_control", "+cpu +memory +pids") }
	err = enable()
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	leaf := filepath.Join(group, "launcher")
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := writeFile(leaf, "cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	if err = enable(); err != nil {
		_ = writeFile(group, "cgroup.procs", strconv.Itoa(os.Getpid()))
		_ = os.Remove(leaf)
	}
	return err
}

// ownCgroups is the folder of our own group in each mounted hierarchy; "" is v2.
func ownCgroups() map[string]string {
	paths := map[string]string{}
	for _, line := range readLines("/proc/self/cgroup") {
		if parts := strings.SplitN(line, ":", 3); len(parts) == 3 {
			for controller := range strings.SplitSeq(parts[1], ",") {
				paths[controller] = parts[2]
			}
		}
	}
	return foldersOf(paths, cgroupMounts(readLines("/proc/self/mountinfo")))
}

// removeBases is for the launcher's end.
func (c *cgroups) removeBases() {
	if c.v2 != "" {
		removeGroup(c.v2)
	}
	for _, base := range c.v1 {
		removeGroup(base)
	}
}

func writeFile(group, name, value string) error {
	file, err := os.OpenFile(filepath.Join(group, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// leaveGroups moves this process out of the control groups that it was born in, in every hierarchy, to a group of this name right
// below the root: the pod whose they are ends, and all that is in them. Where there can be no such group (cpuset of version 1 has to be
// set up first) the root serves.
func leaveGroups(name string) error {
	var failures []error
	for _, roots := range rootsOf(cgroupMounts(readLines("/proc/self/mountinfo"))) {
		failures = append(failures, moveBelowAny(roots, name))
	}
	return errors.Join(failures...)
}

// moveBelowAny: they are all the same root; where one is mounted only to be looked at, another may serve.
func moveBelowAny(roots []string, name string) (err error) {
	for _, root := range roots {
		failure := moveBelow(root, name)
		if failure == nil {
			return nil
		}
		err = errors.Join(err, failure)
	}
	return err
}

func moveBelow(root, name string) error {
	self := strconv.Itoa(os.Getpid())
	group := filepath.Join(root, name)
	if err := os.Mkdir(group, 0o755); err == nil || errors.Is(err, os.ErrExist) {
		if writeFile(group, "cgroup.procs", self) == nil {
			return nil
		}
		_ = os.Remove(group)
	}
	return writeFile(root, "cgroup.procs", self)
}

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// leaveGroups moves this process out of the control groups that it was born in, in every hierarchy, to a group of this name right
// below the root: the pod whose they are ends, and all that is in them. Where there can be no such group (cpuset of version 1 has to be
// set up first) the root serves.
func leaveGroups(name string) error {
	var failures []error
	for _, line := range readLines("/proc/self/mountinfo") {
		mount, kind, found := strings.Cut(line, " - ")
		place := strings.Fields(mount)
		if !found || len(place) < 5 || place[3] != "/" || !strings.HasPrefix(kind, "cgroup") {
			continue
		}
		if err := moveBelow(place[4], name); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
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

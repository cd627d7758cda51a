package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// MoveBelowRoot moves this process, in every hierarchy, from the control groups that it was started in to a group of this name right
// below the root. The old groups may be a pod's: they end with the pod, and so does every process in them. If a hierarchy allows no
// such group (cpuset of version 1 needs a set-up first), the process moves to the root.
func MoveBelowRoot(name string) error {
	var failures []error
	for _, roots := range ReadMounts().roots() {
		failures = append(failures, moveBelowAny(roots, name))
	}
	return errors.Join(failures...)
}

// moveBelowAny tries several mounts of one root: some may be read-only.
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
		if Write(group, "cgroup.procs", self) == nil {
			return nil
		}
		_ = os.Remove(group)
	}
	return Write(root, "cgroup.procs", self)
}

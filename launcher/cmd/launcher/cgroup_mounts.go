package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// cgroupMount is where a hierarchy of control groups is mounted, or a part of it.
type cgroupMount struct {
	// device is the same for all mounts of a hierarchy.
	device string
	// names are the controllers, and more, of version 1; "" is version 2.
	names []string
	// root is the group that is to be seen at point.
	root, point string
	isWritable  bool
}

// cgroupMounts are in the order in which they are to be tried: a hierarchy may be mounted again to be only looked at. The later one may
// hide the earlier.
func cgroupMounts(mountinfo []string) []cgroupMount {
	var writable, others []cgroupMount
	for _, line := range slices.Backward(mountinfo) {
		mount, found := cgroupMountOf(line)
		switch {
		case !found:
		case mount.isWritable:
			writable = append(writable, mount)
		default:
			others = append(others, mount)
		}
	}
	return append(writable, others...)
}

func cgroupMountOf(line string) (mount cgroupMount, found bool) {
	place, kind, found := strings.Cut(line, " - ")
	where, types := strings.Fields(place), strings.Fields(kind)
	if !found || len(where) < 6 || len(types) < 3 {
		return mount, false
	}
	options := strings.Split(types[2], ",")
	mount = cgroupMount{device: where[2], root: where[3], point: where[4]}
	mount.isWritable = !slices.Contains(strings.Split(where[5], ","), "ro") && !slices.Contains(options, "ro")
	switch types[0] {
	case "cgroup2":
		mount.names = []string{""}
	case "cgroup":
		mount.names = options
	}
	return mount, mount.names != nil
}

// foldersOf is where each group is to be found; groups are by controller, "" is that of version 2.
func foldersOf(groups map[string]string, mounts []cgroupMount) map[string]string {
	folders := map[string]string{}
	for _, mount := range mounts {
		for _, name := range mount.names {
			below, err := filepath.Rel(mount.root, groups[name])
			isInside := groups[name] != "" && err == nil && !strings.HasPrefix(below, "..")
			if _, known := folders[name]; isInside && !known {
				folders[name] = filepath.Join(mount.point, below)
			}
		}
	}
	return folders
}

// rootsOf is where the root of each hierarchy is to be found, each in the order in which it is to be tried.
func rootsOf(mounts []cgroupMount) map[string][]string {
	roots := map[string][]string{}
	for _, mount := range mounts {
		if mount.root == "/" {
			roots[mount.device] = append(roots[mount.device], mount.point)
		}
	}
	return roots
}

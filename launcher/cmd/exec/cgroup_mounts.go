package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mount is where a hierarchy is mounted, and which of its groups that is.
type mount struct{ root, point string }

// folder is a group's, or "" if it lies outside of what is mounted.
func (m mount) folder(group string) string {
	below, err := filepath.Rel(m.root, group)
	if err != nil || below == ".." || strings.HasPrefix(below, "../") {
		return ""
	}
	return filepath.Join(m.point, below)
}

// mounts are by hierarchy, in the order in which they are to be tried.
type mounts map[string][]mount

// folder is a group's, or "" if it lies outside of all that is mounted.
func (m mounts) folder(hierarchy, group string) string {
	for _, each := range m[hierarchy] {
		if folder := each.folder(group); folder != "" {
			return folder
		}
	}
	return ""
}

// cgroupMounts: a hierarchy may be mounted again to be only looked at; what can be written comes first.
func cgroupMounts(mountinfo string) mounts {
	found, onlyLookedAt := mounts{}, mounts{}
	for line := range strings.Lines(mountinfo) {
		place, kind, isMount := strings.Cut(strings.TrimSpace(line), " - ")
		where, types := strings.Fields(place), strings.Fields(kind)
		if !isMount || len(where) < 6 || len(types) < 3 {
			continue
		}
		options := strings.Split(types[2], ",")
		names := []string{}
		if types[0] == "cgroup2" {
			names = []string{""}
		} else if types[0] == "cgroup" {
			names = options
		}
		to := found
		if slices.Contains(options, "ro") || slices.Contains(strings.Split(where[5], ","), "ro") {
			to = onlyLookedAt
		}
		for _, name := range names {
			to[name] = append(to[name], mount{where[3], where[4]})
		}
	}
	for name, others := range onlyLookedAt {
		found[name] = append(found[name], others...)
	}
	return found
}

// cgroupsOf is a process's group in each hierarchy.
func cgroupsOf(pid int) map[string]string {
	groups := map[string]string{}
	content, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	for line := range strings.Lines(string(content)) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 {
			for name := range strings.SplitSeq(parts[1], ",") {
				groups[name] = parts[2]
			}
		}
	}
	return groups
}

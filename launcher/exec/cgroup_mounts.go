package main

import (
	"os"
	"path/filepath"
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

func cgroupMounts() map[string]mount {
	mounts := map[string]mount{}
	content, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(content)) {
		place, kind, found := strings.Cut(strings.TrimSpace(line), " - ")
		where, types := strings.Fields(place), strings.Fields(kind)
		if !found || len(where) < 5 || len(types) < 3 {
			continue
		}
		names := []string{}
		if types[0] == "cgroup2" {
			names = []string{""}
		} else if types[0] == "cgroup" {
			names = strings.Split(types[2], ",")
		}
		for _, name := range names {
			if _, known := mounts[name]; !known {
				mounts[name] = mount{where[3], where[4]}
			}
		}
	}
	return mounts
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

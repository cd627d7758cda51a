package cgroup

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// V2 stands for the hierarchy of version 2 where a controller of version 1 could stand as well.
const V2 = ""

// mount is one mount of a hierarchy, or of a part of it.
type mount struct {
	// device is the same for all mounts of a hierarchy.
	device [2]int
	// names are the controllers of version 1, and other mount options; V2 for version 2.
	names []string
	// root is the group that is visible at `point`.
	root, point string
}

// Mounts is where the hierarchies of control groups are mounted, best first: a hierarchy may be mounted again read-only, and a later
// mount may hide an earlier one.
type Mounts []mount

// ReadMounts returns the mounts that this process sees.
func ReadMounts() Mounts {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer file.Close()
	return ParseMounts(file)
}

// ParseMounts reads the format of /proc/self/mountinfo. A malformed line makes it return none.
func ParseMounts(from io.Reader) Mounts {
	isOther := func(info *mountinfo.Info) (skip, stop bool) {
		return info.FSType != "cgroup" && info.FSType != "cgroup2", false
	}
	infos, err := mountinfo.GetMountsFromReader(from, isOther)
	if err != nil {
		return nil
	}
	var writable, readOnly Mounts
	for _, info := range slices.Backward(infos) {
		options := strings.Split(info.VFSOptions, ",")
		each := mount{device: [2]int{info.Major, info.Minor}, names: options, root: info.Root, point: info.Mountpoint}
		if info.FSType == "cgroup2" {
			each.names = []string{V2}
		}
		if slices.Contains(options, "ro") || slices.Contains(strings.Split(info.Options, ","), "ro") {
			readOnly = append(readOnly, each)
		} else {
			writable = append(writable, each)
		}
	}
	return append(writable, readOnly...)
}

// Has is true if the hierarchy of a controller is mounted.
func (m Mounts) Has(controller string) bool {
	return slices.ContainsFunc(m, func(each mount) bool { return slices.Contains(each.names, controller) })
}

// Folder is where a group of a controller's hierarchy is found; "" if it is outside all mounts.
func (m Mounts) Folder(controller, group string) string {
	for _, each := range m {
		if !slices.Contains(each.names, controller) {
			continue
		}
		if folder := each.folder(group); folder != "" {
			return folder
		}
	}
	return ""
}

func (m mount) folder(group string) string {
	below, err := filepath.Rel(m.root, group)
	// A group's own name may begin with two dots.
	if group == "" || err != nil || below == ".." || strings.HasPrefix(below, "../") {
		return ""
	}
	return filepath.Join(m.point, below)
}

// roots are the folders of each hierarchy's root, by device, best first.
func (m Mounts) roots() map[[2]int][]string {
	roots := map[[2]int][]string{}
	for _, each := range m {
		if each.root == "/" {
			roots[each.device] = append(roots[each.device], each.point)
		}
	}
	return roots
}

// Own returns this process's group in each hierarchy, by controller.
func Own() map[string]string { return readGroups("/proc/self/cgroup") }

// Of returns a process's group in each hierarchy, by controller.
func Of(pid int) map[string]string { return readGroups("/proc/" + strconv.Itoa(pid) + "/cgroup") }

func readGroups(path string) map[string]string {
	groups := map[string]string{}
	content, _ := os.ReadFile(path)
	for line := range strings.Lines(string(content)) {
		if parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); len(parts) == 3 {
			for controller := range strings.SplitSeq(parts[1], ",") {
				groups[controller] = parts[2]
			}
		}
	}
	return groups
}

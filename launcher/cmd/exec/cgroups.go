package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hierarchies are where a command gets a group of its own, below its container's: v2 (""), to be killed at once; pids of v1, to be found
// by; memory of v1, which counts whom the kernel killed. One of the first two is needed.
var hierarchies = []string{"", "pids", "memory"}

// confinement is a command's own groups.
type confinement struct {
	groups map[string]string
	// above is the container's own group of v2, where it has one: there the kernel counts.
	above     string
	oomBefore int
}

// inContainer is a process that is said to be of a container, whose first one is `init`.
type inContainer struct {
	process, init process
	id            string
}

// confine moves the process into groups of its own, which `tell` hears of before.
func confine(found inContainer, name string, tell func([]string) error) (*confinement, error) {
	theirs := cgroupsOf(found.init.pid)
	if !found.init.isAlive() {
		return nil, failed(containerGone, "the container ended before the command began")
	}
	mountinfo, _ := os.ReadFile("/proc/self/mountinfo")
	c, err := plan(cgroupMounts(string(mountinfo)), groupsOf{cgroupsOf(found.process.pid), theirs, found.id}, name)
	if err == nil {
		err = tell(c.paths())
	}
	if err != nil {
		return nil, err
	}
	var complaints []error
	for hierarchy, group := range c.groups {
		if err := enter(group, found.process.pid); err != nil {
			complaints = append(complaints, err)
			_ = unix.Rmdir(group)
			delete(c.groups, hierarchy)
		}
	}
	if c.groups[""] == "" && c.groups["pids"] == "" {
		c.remove()
		return nil, failed(notConfinable, "no cgroup could be made below the container's, so nothing could end the command: %v",
			errors.Join(complaints...))
	}
	c.oomBefore = oomKills(filepath.Join(c.above, "memory.events"))
	return c, nil
}

// groupsOf are a process's own, by hierarchy, and those of the first process of the container that it is said to be of.
type groupsOf struct {
	own, theirs map[string]string
	container   string
}

// plan says which groups of that name there are to be, below those that the process is in.
func plan(mounted mounts, of groupsOf, name string) (*confinement, error) {
	c := &confinement{groups: map[string]string{}}
	own := of.own
	for _, hierarchy := range hierarchies {
		if len(mounted[hierarchy]) == 0 || own[hierarchy] == "" {
			continue
		}
		if !of.isInside(hierarchy) {
			return nil, failed(notConfinable, "what the container's shell calls its own process is not in the container's cgroup")
		}
		if folder := mounted.folder(hierarchy, own[hierarchy]); folder != "" {
			c.groups[hierarchy] = filepath.Join(folder, name)
			if hierarchy == "" {
				c.above = folder
			}
		}
	}
	return c, nil
}

func enter(group string, pid int) error {
	if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return writeFile(filepath.Join(group, "cgroup.procs"), strconv.Itoa(pid))
}

// isInside: whoever made the image says which process it is, and root moves and kills that. So it has to be in the first process's
// group, or below; or above, where the first process made groups for itself, but no higher than the container's own group, which every
// runtime names by the container's id.
func (of groupsOf) isInside(hierarchy string) bool {
	own, theirs := of.own[hierarchy], of.theirs[hierarchy]
	if theirs == "" {
		return false
	}
	return isBelow(own, theirs) || isBelow(theirs, own) && strings.Contains(own, of.container)
}

// isBelow is true of the same, too.
func isBelow(path, other string) bool {
	return strings.HasPrefix(path+"/", strings.TrimSuffix(other, "/")+"/")
}

func (c *confinement) paths() []string {
	var paths []string
	for _, hierarchy := range hierarchies {
		if group := c.groups[hierarchy]; group != "" {
			paths = append(paths, group)
		}
	}
	return paths
}

// end kills whatever is left, and removes the groups.
func (c *confinement) end() {
	const patience, pause = 2 * time.Second, 10 * time.Millisecond
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(pause) {
		for _, group := range c.paths() {
			killGroup(group)
		}
		if c.remove() {
			return
		}
	}
}

func (c *confinement) remove() bool {
	isGone := true
	for _, group := range c.paths() {
		err := unix.Rmdir(group)
		isGone = isGone && (err == nil || errors.Is(err, unix.ENOENT))
	}
	return isGone
}

// wasOom: the kernel killed a process of the command for want of memory. v2 counts for the container as a whole: then it is the command if
// that was killed meanwhile.
func (c *confinement) wasOom(code int) bool {
	if group := c.groups["memory"]; group != "" {
		return oomKills(filepath.Join(group, "memory.oom_control")) > 0
	}
	return code == exitKilled && c.above != "" && oomKills(filepath.Join(c.above, "memory.events")) > c.oomBefore
}

func oomKills(file string) int {
	content, _ := os.ReadFile(file)
	for line := range strings.Lines(string(content)) {
		if count, found := strings.CutPrefix(line, "oom_kill "); found {
			number, _ := strconv.Atoi(strings.TrimSpace(count))
			return number
		}
	}
	return 0
}

func killGroup(group string) {
	if writeFile(filepath.Join(group, "cgroup.kill"), "1") == nil {
		return
	}
	content, _ := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	for field := range strings.FieldsSeq(string(content)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

func writeFile(path, value string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}

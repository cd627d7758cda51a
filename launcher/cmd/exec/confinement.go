//go:build linux

package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"shellcron.dev/launcher/internal/cgroup"
)

// hierarchies are those in which a command gets a group of its own, below its container's: version 2, to be killed at once; pids of
// version 1, to be found by; memory of version 1, which counts the kernel's OOM kills. One of the first two is needed.
var hierarchies = []string{cgroup.V2, "pids", "memory"}

// confinement is a command's own groups.
type confinement struct {
	groups map[string]string
	// above is the container's own group of version 2, if there is one: it counts OOM kills.
	above     string
	oomBefore int
	// isLeft: the processes have left the groups, and go on.
	isLeft bool
}

// inContainer is a process that claims to be in a container, whose first process is `init`.
type inContainer struct {
	process, init process
	id            string
}

// confine moves the process into groups of its own. `announce` learns their paths before that.
func confine(found inContainer, name string, announce func([]string) error) (*confinement, error) {
	ofInit := cgroup.Of(found.init.pid)
	if !found.init.isAlive() {
		return nil, failed(containerGone, "the container ended before the command began")
	}
	c, err := plan(cgroup.ReadMounts(), membership{cgroup.Of(found.process.pid), ofInit, found.id}, name)
	if err == nil {
		err = announce(c.paths())
	}
	if err != nil {
		return nil, err
	}
	var failures []error
	for hierarchy, group := range maps.Clone(c.groups) {
		if err := enter(group, found.process.pid); err != nil {
			failures = append(failures, err)
			cgroup.Remove(group)
			delete(c.groups, hierarchy)
		}
	}
	if c.groups[cgroup.V2] == "" && c.groups["pids"] == "" {
		c.remove()
		return nil, failed(notConfinable, "no cgroup could be made below the container's, so nothing could end the command: %v",
			errors.Join(failures...))
	}
	c.oomBefore = c.containerOOMKills()
	return c, nil
}

// membership is a process's groups, by hierarchy, and those of the first process of the container that it claims to be in.
type membership struct {
	own, ofInit map[string]string
	container   string
}

// plan names the groups to make, below those that the process is in.
func plan(mounts cgroup.Mounts, of membership, name string) (*confinement, error) {
	c := &confinement{groups: map[string]string{}}
	for _, hierarchy := range hierarchies {
		own := of.own[hierarchy]
		if !mounts.Has(hierarchy) || own == "" {
			continue
		}
		if !of.isInside(hierarchy) {
			return nil, failed(notConfinable, "the process that the container's shell names as its own is not in the container's cgroup")
		}
		if folder := mounts.Folder(hierarchy, own); folder != "" {
			c.groups[hierarchy] = filepath.Join(folder, name)
			if hierarchy == cgroup.V2 {
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
	return cgroup.Write(group, "cgroup.procs", strconv.Itoa(pid))
}

// isInside checks the process, because the image decides which one its shell names, and root moves and kills it. It must be in the
// group of the container's first process, or below. If the first process made groups for itself, the process may also be above, but
// no higher than the container's own group, whose name has the container's id with every runtime.
func (of membership) isInside(hierarchy string) bool {
	own, ofInit := of.own[hierarchy], of.ofInit[hierarchy]
	if ofInit == "" {
		return false
	}
	return isAtOrBelow(own, ofInit) || isAtOrBelow(ofInit, own) && strings.Contains(own, of.container)
}

func isAtOrBelow(path, other string) bool {
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

// kill sends SIGKILL to every process of the command.
func (c *confinement) kill() {
	for _, group := range c.paths() {
		cgroup.Kill(group)
	}
}

// end kills what is left, and removes the groups.
func (c *confinement) end() {
	const within, pause = 2 * time.Second, 10 * time.Millisecond
	for until := time.Now().Add(within); time.Now().Before(until); time.Sleep(pause) {
		c.kill()
		if c.remove() {
			return
		}
	}
}

func (c *confinement) remove() bool {
	areGone := true
	for _, group := range c.paths() {
		areGone = cgroup.Remove(group) && areGone
	}
	return areGone
}

// wasOOM says whether the kernel killed a process of the command for lack of memory. Version 2 counts for the whole container. There,
// the count says so if the command was killed. If it succeeded, it does not change the outcome: only a warning follows.
func (c *confinement) wasOOM(isCounted bool) bool {
	if group := c.groups["memory"]; group != "" {
		return cgroup.OOMKills(filepath.Join(group, "memory.oom_control")) > 0
	}
	return isCounted && c.above != "" && c.containerOOMKills() > c.oomBefore
}

func (c *confinement) containerOOMKills() int {
	return cgroup.OOMKills(filepath.Join(c.above, "memory.events"))
}

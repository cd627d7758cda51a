//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shellcron.dev/launcher/internal/cgroup"
)

func TestAProcessIsInAContainerOnlyIfItIsInItsGroups(t *testing.T) {
	for _, each := range []struct {
		own, ofInit string
		isInside    bool
	}{
		{"/pods/c1", "/pods/c1", true},
		{"/pods/c1/jobs", "/pods/c1", true},
		{"/pods/c1", "/pods/c1/init.scope", true},
		{"/pods/cri-c1.scope", "/pods/cri-c1.scope/system/x", true},
		{"/pods/c12", "/pods/c1", false},
		{"/pods/c2", "/pods/c1", false},
		{"/pods", "/pods/c1", false},
		{"/", "/pods/c1", false},
		{"/pods/c1", "", false},
		{"/", "/", true},
	} {
		of := membership{map[string]string{"": each.own}, map[string]string{"": each.ofInit}, "c1"}
		if of.isInside("") != each.isInside {
			t.Errorf("%v", each)
		}
	}
}

func mounted(lines ...string) cgroup.Mounts {
	return cgroup.ParseMounts(strings.NewReader("1 0 " + strings.Join(lines, "\n1 0 ") + "\n"))
}

func TestACommandIsConfinedBelowItsContainer(t *testing.T) {
	pod := "/kubepods.slice/pod1/cri-1.scope"
	v2 := mounted("0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
	v1 := mounted("0:36 / /c/pids rw - cgroup cgroup rw,pids", "0:37 / /c/memory rw - cgroup cgroup rw,memory",
		"0:38 / /c/cpu rw - cgroup cgroup rw,cpu")
	for _, each := range []struct {
		mounts cgroup.Mounts
		own    map[string]string
		paths  []string
	}{
		{v2, map[string]string{"": pod}, []string{"/sys/fs/cgroup" + pod + "/x"}},
		{v1, map[string]string{"pids": pod, "memory": pod, "cpu": pod}, []string{"/c/pids" + pod + "/x", "/c/memory" + pod + "/x"}},
		{mounted("0:26 /elsewhere /sys/fs/cgroup rw - cgroup2 cgroup2 rw"), map[string]string{"": pod}, nil},
	} {
		planned, err := plan(each.mounts, membership{each.own, each.own, "1"}, "x")
		if err != nil || !slices.Equal(planned.paths(), each.paths) {
			t.Errorf("%v: %v %v", each.own, planned, err)
		}
	}
	other := map[string]string{"": "/system.slice/other.service"}
	_, err := plan(v2, membership{other, map[string]string{"": pod}, "1"}, "x")
	if failureOf(err).reason != notConfinable {
		t.Error(err)
	}
}

func TestAProcessIsMovedAndKilledByItsGroup(t *testing.T) {
	group := filepath.Join(t.TempDir(), "shellcron-1")
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cgroup.procs", "cgroup.kill", "memory.events"} {
		if err := os.WriteFile(filepath.Join(group, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := enter(group, 4711); err != nil {
		t.Error(err)
	}
	cgroup.Kill(group)
	for name, wanted := range map[string]string{"cgroup.procs": "4711", "cgroup.kill": "1"} {
		if content, _ := os.ReadFile(filepath.Join(group, name)); string(content) != wanted {
			t.Errorf("%s: %q", name, content)
		}
	}
	events := filepath.Join(group, "memory.events")
	c := &confinement{groups: map[string]string{"": group}, above: group}
	for count, wanted := range map[string]bool{"0": false, "2": true} {
		text := strings.Join([]string{"low 0", "oom 1", "oom_kill " + count, ""}, "\n")
		if err := os.WriteFile(events, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c.wasOOM(true) != wanted || c.wasOOM(false) {
			t.Errorf("oom_kill %s", count)
		}
	}
}

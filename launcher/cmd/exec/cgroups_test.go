package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestGroupsOutsideOfWhatIsMountedAreNone(t *testing.T) {
	inside := mount{"/kubepods", "/sys/fs/cgroup/pids"}
	if got := inside.folder("/kubepods/a"); got != "/sys/fs/cgroup/pids/a" {
		t.Error(got)
	}
	if got := inside.folder("/other"); got != "" {
		t.Error(got)
	}
}

func TestWhereAGroupIsFoundAWritableMountIsPreferred(t *testing.T) {
	const unified = "31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	const again = "90 23 0:26 / /mnt/looked/at ro,nosuid - cgroup2 cgroup2 rw\n"
	const frozen = "92 23 0:26 / /mnt/frozen rw - cgroup2 cgroup2 ro\n"
	const part = "91 23 0:26 /pods /mnt/pods rw - cgroup2 cgroup2 rw\n"
	const memory = "39 31 0:36 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	for _, each := range []struct{ mountinfo, hierarchy, group, folder string }{
		{again + frozen + unified, "", "/pods/a", "/sys/fs/cgroup/pods/a"},
		{unified + again, "", "/pods/a", "/sys/fs/cgroup/pods/a"},
		{again + part, "", "/pods/a", "/mnt/pods/a"},
		{again + part, "", "/other", "/mnt/looked/at/other"},
		{again + part + memory, "memory", "/a", "/sys/fs/cgroup/memory/a"},
		{part, "", "/other", ""},
		{"no mount\n", "", "/a", ""},
	} {
		if got := cgroupMounts(each.mountinfo).folder(each.hierarchy, each.group); got != each.folder {
			t.Errorf("%s: %q", each.mountinfo, got)
		}
	}
}

func TestAProcessIsOfAContainerOnlyInItsGroups(t *testing.T) {
	for _, each := range []struct {
		own, theirs string
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
		of := groupsOf{map[string]string{"": each.own}, map[string]string{"": each.theirs}, "c1"}
		if of.isInside("") != each.isInside {
			t.Errorf("%v", each)
		}
	}
}

func TestWhereACommandIsConfined(t *testing.T) {
	pod := "/kubepods.slice/pod1/cri-1.scope"
	v2 := mounts{"": {{"/", "/sys/fs/cgroup"}}}
	v1 := mounts{"pids": {{"/", "/c/pids"}}, "memory": {{"/", "/c/memory"}}, "cpu": {{"/", "/c/cpu"}}}
	for _, each := range []struct {
		mounted mounts
		own     map[string]string
		paths   []string
	}{
		{v2, map[string]string{"": pod}, []string{"/sys/fs/cgroup" + pod + "/x"}},
		{v1, map[string]string{"pids": pod, "memory": pod, "cpu": pod}, []string{"/c/pids" + pod + "/x", "/c/memory" + pod + "/x"}},
		{mounts{"": {{"/elsewhere", "/sys/fs/cgroup"}}}, map[string]string{"": pod}, nil},
	} {
		planned, err := plan(each.mounted, groupsOf{each.own, each.own, "1"}, "x")
		if err != nil || !slices.Equal(planned.paths(), each.paths) {
			t.Errorf("%v: %v %v", each.own, planned, err)
		}
	}
	other := map[string]string{"": "/system.slice/other.service"}
	_, err := plan(v2, groupsOf{other, map[string]string{"": pod}, "1"}, "x")
	if failureOf(err).reason != notConfinable {
		t.Error(err)
	}
}

// What is written where only v2 is: the process's number into the group, and one word to end it whole.
func TestWhatIsWritten(t *testing.T) {
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
	killGroup(group)
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
		if c.wasOom(exitKilled) != wanted || c.wasOom(1) {
			t.Errorf("oom_kill %s", count)
		}
	}
}

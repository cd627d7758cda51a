package cgroup

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

const (
	unified      = "31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
	unifiedAgain = "90 23 0:26 / /mnt/read/only ro,nosuid - cgroup2 cgroup2 rw"
	unifiedPart  = "91 23 0:26 /pods /mnt/pods rw - cgroup2 cgroup2 rw"
	frozen       = "92 23 0:26 / /mnt/frozen rw - cgroup2 cgroup2 ro"
	spaced       = `94 23 0:26 / /mnt/with\040space rw - cgroup2 cgroup2 rw`
	pids         = "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids"
	pidsAgain    = "93 31 0:36 / /mnt/pids ro,relatime - cgroup cgroup rw,pids"
	disk         = "24 1 254:0 / / rw,relatime - ext4 /dev/vda rw"
)

func mountsOf(lines ...string) Mounts {
	return ParseMounts(strings.NewReader(strings.Join(lines, "\n") + "\n"))
}

func TestAGroupIsFoundAtAWritableMountIfThereIsOne(t *testing.T) {
	for _, each := range []struct {
		mounts                    Mounts
		controller, group, folder string
	}{
		{mountsOf(disk, unified), V2, "/a/b", "/sys/fs/cgroup/a/b"},
		{mountsOf(unifiedAgain, unified), V2, "/a", "/sys/fs/cgroup/a"},
		{mountsOf(unified, unifiedAgain, frozen), V2, "/a", "/sys/fs/cgroup/a"},
		{mountsOf(unifiedAgain, unifiedPart), V2, "/pods/a", "/mnt/pods/a"},
		{mountsOf(unifiedAgain, unifiedPart), V2, "/other", "/mnt/read/only/other"},
		{mountsOf(unifiedAgain), V2, "/a", "/mnt/read/only/a"},
		{mountsOf(unified, pids, pidsAgain), V2, "/", "/sys/fs/cgroup"},
		{mountsOf(unified, pids, pidsAgain), "pids", "/a", "/sys/fs/cgroup/pids/a"},
		{mountsOf(unified, pids, pidsAgain), "cpu", "/a", ""},
		{mountsOf(unifiedPart), V2, "/other", ""},
		{mountsOf(unified), V2, "", ""},
		{mountsOf(spaced), V2, "/a", "/mnt/with space/a"},
		{mountsOf("no line of mountinfo"), V2, "/a", ""},
	} {
		if got := each.mounts.Folder(each.controller, each.group); got != each.folder {
			t.Errorf("%v: %q", each, got)
		}
	}
}

func TestAGroupWhoseNameBeginsWithTwoDotsIsNotOutside(t *testing.T) {
	for group, folder := range map[string]string{
		"/pods/..foo": "/mnt/pods/..foo", "/pods/..": "", "/..foo": "", "/pods/...": "/mnt/pods/...", "/pods": "/mnt/pods",
	} {
		if got := mountsOf(unifiedPart).Folder(V2, group); got != folder {
			t.Errorf("%s: %q", group, got)
		}
	}
}

func TestAMountThatCanBeWrittenIsTheFirstRoot(t *testing.T) {
	roots := mountsOf(unifiedPart, unified, unifiedAgain, pidsAgain, pids, disk).roots()
	want := map[[2]int][]string{
		{0, 26}: {"/sys/fs/cgroup", "/mnt/read/only"},
		{0, 36}: {"/sys/fs/cgroup/pids", "/mnt/pids"},
	}
	if !maps.EqualFunc(roots, want, slices.Equal[[]string]) {
		t.Error(roots)
	}
}

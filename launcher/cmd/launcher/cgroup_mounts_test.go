package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

const (
	unified      = "31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
	unifiedAgain = "90 23 0:26 / /mnt/looked/at ro,nosuid - cgroup2 cgroup2 rw"
	unifiedPart  = "91 23 0:26 /pods /mnt/pods rw - cgroup2 cgroup2 rw"
	frozen       = "92 23 0:26 / /mnt/frozen rw - cgroup2 cgroup2 ro"
	pids         = "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids"
	pidsAgain    = "93 31 0:36 / /mnt/pids ro,relatime - cgroup cgroup rw,pids"
	disk         = "24 1 254:0 / / rw,relatime - ext4 /dev/vda rw"
)

func TestWhereAGroupIsFoundAWritableMountIsPreferred(t *testing.T) {
	for _, each := range []struct {
		mountinfo []string
		groups    map[string]string
		want      map[string]string
	}{
		{[]string{disk, unified}, map[string]string{"": "/a/b"}, map[string]string{"": "/sys/fs/cgroup/a/b"}},
		{[]string{unifiedAgain, unified}, map[string]string{"": "/a"}, map[string]string{"": "/sys/fs/cgroup/a"}},
		{[]string{unified, unifiedAgain, frozen}, map[string]string{"": "/a"}, map[string]string{"": "/sys/fs/cgroup/a"}},
		{[]string{unifiedAgain, unifiedPart}, map[string]string{"": "/pods/a"}, map[string]string{"": "/mnt/pods/a"}},
		{[]string{unifiedAgain, unifiedPart}, map[string]string{"": "/other"}, map[string]string{"": "/mnt/looked/at/other"}},
		{[]string{unifiedAgain}, map[string]string{"": "/a"}, map[string]string{"": "/mnt/looked/at/a"}},
		{
			[]string{unified, pids, pidsAgain}, map[string]string{"": "/", "pids": "/a", "cpu": "/a"},
			map[string]string{"": "/sys/fs/cgroup", "pids": "/sys/fs/cgroup/pids/a"},
		},
		{[]string{"", "no line of this kind"}, map[string]string{"": "/a"}, map[string]string{}},
	} {
		got := foldersOf(each.groups, cgroupMounts(each.mountinfo))
		if !maps.Equal(got, each.want) {
			t.Errorf("%s: %v", strings.Join(each.mountinfo, "\n"), got)
		}
	}
}

func TestARootIsLookedForWhereItCanBeWrittenFirst(t *testing.T) {
	roots := rootsOf(cgroupMounts([]string{unifiedPart, unified, unifiedAgain, pidsAgain, pids, disk}))
	want := map[string][]string{
		"0:26": {"/sys/fs/cgroup", "/mnt/looked/at"},
		"0:36": {"/sys/fs/cgroup/pids", "/mnt/pids"},
	}
	if !maps.EqualFunc(roots, want, slices.Equal[[]string]) {
		t.Error(roots)
	}
}

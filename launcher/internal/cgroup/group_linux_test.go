package cgroup

import (
	"os"
	"path/filepath"
	"testing"

	"shellcron.dev/launcher/internal/wire"
)

// These tests check what is written, not what the kernel does: a machine rarely has both versions with all controllers.

func fakeGroup(t *testing.T, files ...string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func expectFiles(t *testing.T, folder string, want map[string]string) {
	t.Helper()
	for name, content := range want {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(got) != content {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

var someLimits = wire.Resources{CPUMillis: 1500, MemoryBytes: 1 << 20, Pids: 7}

func TestLimitsOfVersion2(t *testing.T) {
	files := []string{"memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"}
	g := &Group{v2: fakeGroup(t, files...), v2HasLimits: true, limits: someLimits}
	if err := g.limit(); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, g.v2, map[string]string{"cpu.max": "", "memory.max": "1048576", "pids.max": "7"})
	expectFiles(t, g.v2, map[string]string{"memory.swap.max": "0", "memory.oom.group": "1"})
	g.LimitAfterStart()
	expectFiles(t, g.v2, map[string]string{"cpu.max": "150000 100000"})
}

func TestLimitsOfVersion1(t *testing.T) {
	cpu := fakeGroup(t, "cpu.cfs_quota_us", "cpu.cfs_period_us")
	memory := fakeGroup(t, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
	pids := fakeGroup(t, "pids.max")
	g := &Group{v1: map[string]string{"cpu": cpu, "memory": memory, "pids": pids}, limits: someLimits}
	if err := g.limit(); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, memory, map[string]string{"memory.limit_in_bytes": "1048576", "memory.memsw.limit_in_bytes": "1048576"})
	expectFiles(t, pids, map[string]string{"pids.max": "8"})
	g.LimitAfterStart()
	expectFiles(t, cpu, map[string]string{"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"})
}

func TestALimitThatCannotBeWrittenFailsTheStart(t *testing.T) {
	g := &Group{v2: t.TempDir(), v2HasLimits: true, limits: someLimits}
	if g.limit() == nil {
		t.Fatal("no failure")
	}
}

func TestOOMIsReadFromTheVersionThatCountsIt(t *testing.T) {
	v2 := fakeGroup(t)
	_ = os.WriteFile(filepath.Join(v2, "memory.events"), []byte("max 3\noom 1\noom_kill 2\noom_group_kill 1\n"), 0o600)
	if was := (&Group{v2: v2, v2HasLimits: true}).WasOOM(); was == nil || !*was {
		t.Error("version 2: the OOM kill is not found")
	}
	v1 := fakeGroup(t)
	_ = os.WriteFile(filepath.Join(v1, "memory.oom_control"), []byte("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"), 0o600)
	if was := (&Group{v1: map[string]string{"memory": v1}}).WasOOM(); was == nil || *was {
		t.Error("version 1: the count of 0 is not read")
	}
	if (&Group{v2: v2}).WasOOM() != nil {
		t.Error("it is not counted")
	}
}

func TestControllersAreDelegatedOnlyIfAllAreAvailable(t *testing.T) {
	group := fakeGroup(t, "cgroup.subtree_control")
	_ = os.WriteFile(filepath.Join(group, "cgroup.controllers"), []byte("cpuset cpu io memory pids\n"), 0o600)
	if err := enableControllers(group); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, group, map[string]string{"cgroup.subtree_control": "+cpu +memory +pids"})
	_ = os.WriteFile(filepath.Join(group, "cgroup.controllers"), []byte("cpuset memory\n"), 0o600)
	if enableControllers(group) == nil {
		t.Fatal("cpu and pids are missing")
	}
}

func TestKillAllKillsTheGroupOfAllRuns(t *testing.T) {
	h := &Hierarchy{v2: fakeGroup(t, "cgroup.kill")}
	h.KillAll()
	expectFiles(t, h.v2, map[string]string{"cgroup.kill": "1"})
}

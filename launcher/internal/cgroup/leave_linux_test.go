package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestTheProcessMovesBelowTheRootOrElseToTheRoot(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	root := fakeGroup(t, "cgroup.procs")
	if err := os.Mkdir(filepath.Join(root, "own"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "own", "cgroup.procs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := moveBelow(root, "own"); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, filepath.Join(root, "own"), map[string]string{"cgroup.procs": self})
	expectFiles(t, root, map[string]string{"cgroup.procs": ""})
	if err := moveBelow(root, "unusable"); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, root, map[string]string{"cgroup.procs": self})
}

func TestAGroupThatCannotBeLeftIsAFailure(t *testing.T) {
	if moveBelow(t.TempDir(), "own") == nil {
		t.Fatal("no failure")
	}
}

func TestAReadOnlyMountIsNoFailureIfAnotherIsWritable(t *testing.T) {
	root := fakeGroup(t, "cgroup.procs")
	if err := moveBelowAny([]string{t.TempDir(), root}, "own"); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, root, map[string]string{"cgroup.procs": strconv.Itoa(os.Getpid())})
	if moveBelowAny([]string{t.TempDir(), t.TempDir()}, "own") == nil {
		t.Fatal("the writable mount is not used")
	}
}

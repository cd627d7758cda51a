package cgroup

import (
	"testing"

	"shellcron.dev/launcher/internal/wire"
)

func TestARunWithoutALimitOfProcessesMayHaveHalfOfTheSlice(t *testing.T) {
	slice := fakeGroup(t, "pids.max")
	h := &Hierarchy{v2: slice, v2HasLimits: true}
	h.limitSlice(31)
	expectFiles(t, slice, map[string]string{"pids.max": "31"})
	run := &Group{v2: fakeGroup(t, "pids.max"), v2HasLimits: true}
	run.limitPids(h, "run-1")
	expectFiles(t, run.v2, map[string]string{"pids.max": "15"})
}

func TestARunForWhichTheLimitCannotBeSetHasThatOfTheSlice(t *testing.T) {
	slice := fakeGroup(t, "pids.max")
	h := &Hierarchy{v1: map[string]string{"pids": slice}}
	h.limitSlice(31)
	// A fake group has no file pids.max.
	run := &Group{v1: map[string]string{}}
	run.limitPids(h, "run-1")
	if run.limits != (wire.Resources{}) || run.v1["pids"] == "" {
		t.Error(run.limits, run.v1)
	}
	h.v1["pids"] = slice + "/none"
	run = &Group{v1: map[string]string{}}
	run.limitPids(h, "run-2")
	if run.slice != h.v1["pids"] {
		t.Error(run.slice)
	}
}

package cgroup

import "testing"

func TestNamesOfGroups(t *testing.T) {
	machine := nameOf("/var/lib/shellcron/agent", initialPidNamespace)
	if again := nameOf("/var/lib/shellcron/agent", ""); again != machine {
		t.Errorf("without /proc the name is %s, not %s", again, machine)
	}
	names := map[string]bool{machine: true}
	names[nameOf("/var/lib/other", initialPidNamespace)] = true
	names[nameOf("/var/lib/shellcron/agent", "pid:[4026532301]")] = true
	names[nameOf("/var/lib/shellcron/agent", "pid:[4026532302]")] = true
	if len(names) != 4 {
		t.Errorf("two directories, or two nodes of one machine, share a group: %v", names)
	}
}

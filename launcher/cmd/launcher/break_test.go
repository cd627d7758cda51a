package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Whoever breaks holds what locks it held.
func TestALauncherThatBreaksEndsWhatItsRunsStartedElsewhereWhoeverHoldsItsLocks(t *testing.T) {
	group := filepath.Join(t.TempDir(), "shellcron-noted")
	foreign := filepath.Join(t.TempDir(), "foreign")
	notes := t.TempDir()
	own := filepath.Join(t.TempDir(), "own")
	for _, folder := range []string{group, foreign, own} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "cgroup.kill"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	noted := "cgroup " + group + "\ncgroup " + foreign + "\n"
	if err := os.WriteFile(filepath.Join(notes, "run"), []byte(noted), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sleep", "1000")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s := &supervisor{machine: &machine{notesDir: notes, cgroups: &cgroups{v2: own}}, reaper: newReaper()}
	s.killer = newKiller(s.reaper)
	s.reaper.claims[command.Process.Pid] = func(exit) {}
	s.mu.Lock()
	s.killer.mu.Lock()
	s.reaper.mu.Lock()

	done := make(chan struct{})
	go func() {
		s.killAllNow()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for a lock")
	}
	_ = command.Wait()
	if status := command.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Error(status)
	}
	expectFiles(t, own, map[string]string{"cgroup.kill": "1"})
	expectFiles(t, group, map[string]string{"cgroup.kill": "1"})
	expectFiles(t, foreign, map[string]string{"cgroup.kill": ""})
}

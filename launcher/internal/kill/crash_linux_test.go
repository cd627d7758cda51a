package kill

import (
	"syscall"
	"testing"
	"time"
)

// A goroutine that crashed may hold any lock.
func TestACrashKillsEveryCommandEvenIfTheLocksAreHeld(t *testing.T) {
	command, tree := startSleep(t)
	r := NewReaper()
	NewKiller(r).mu.Lock()
	r.claims[tree.Pid()] = func(Exit) {}
	r.mu.Lock()
	done := make(chan struct{})
	go func() {
		r.KillAllNow()
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
}

package main

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func startSleep(t *testing.T) (*exec.Cmd, *root) {
	t.Helper()
	command := exec.Command("sleep", "20")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	return command, &root{pid: command.Process.Pid, isGroupKnown: true, strays: map[int]uint64{}}
}

func TestForWantOfDescriptorsACommandDiesByItsGroup(t *testing.T) {
	command, r := startSleep(t)
	k := newKiller(newReaper())
	k.watch(r)
	k.kill(r)
	var usual unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: usual.Max}); err != nil {
		t.Fatal(err)
	}
	isIdle := k.round()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	if status := command.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != unix.SIGKILL || isIdle {
		t.Error(status, isIdle)
	}
	// It is looked for again, and not found.
	if !k.round() {
		t.Error("it is still being killed")
	}
}

func TestWhoIsSparedIsNotKilledWithTheRestAndThenIs(t *testing.T) {
	command, r := startSleep(t)
	k := newKiller(newReaper())
	k.watch(r)
	r.spare()
	k.kill(r)
	if k.round() {
		t.Error("it is given up")
	}
	if _, alive := readProcess(r.pid, false); !alive {
		t.Fatal("it is dead")
	}
	soon := time.Now()
	r.sparedUntil.Store(&soon)
	k.round()
	_ = command.Wait()
	if status := command.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != unix.SIGKILL {
		t.Error(status)
	}
}

package kill

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/proc"
)

func startSleep(t *testing.T) (*exec.Cmd, *Tree) {
	t.Helper()
	command := exec.Command("sleep", "20")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	return command, NewTree(Child{Pid: command.Process.Pid}, Traits{})
}

func TestWithoutFreeDescriptorsACommandIsKilledByItsGroup(t *testing.T) {
	command, r := startSleep(t)
	k := NewKiller(NewReaper())
	k.Watch(r)
	k.Kill(r)
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
	// The next round does not find it.
	if !k.round() {
		t.Error("it is still being killed")
	}
}

func TestASparedCommandIsKilledAfterTheRest(t *testing.T) {
	command, r := startSleep(t)
	k := NewKiller(NewReaper())
	k.Watch(r)
	r.Spare()
	k.Kill(r)
	if k.round() {
		t.Error("it is given up")
	}
	if _, alive := proc.Read(r.pid, false); !alive {
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

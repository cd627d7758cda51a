package start

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/kill"
)

// What this system has.
const (
	hasTerminals = true
	hasNotes     = true
	hasScripts   = true
)

func openDevNull() (int, error) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return fd, os.NewSyscallError("open /dev/null", err)
}

// RestrictThread gives up gaining privileges (no_new_privs) for what the calling thread starts. That cannot be taken back: the
// thread must be locked, and be used for nothing else.
func RestrictThread() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

func (c *Command) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Setctty: c.streams.IsTTY(), Credential: c.identity.credential()}
}

// fork makes no os.Process: package end reaps all children by their pids.
func (c *Command) fork(file string, argv []string, attr *syscall.SysProcAttr) (kill.Child, error) {
	pid, err := syscall.ForkExec(file, argv, &syscall.ProcAttr{
		Dir: c.order.WorkingDir, Env: c.env, Files: c.files(), Sys: attr,
	})
	return kill.Child{Pid: pid}, err
}

package start

import (
	"os"
	"syscall"

	"shellcron.dev/launcher/internal/kill"
)

// What this system has.
const (
	hasTerminals = false
	hasNotes     = false
	hasScripts   = false
)

// openDevNull opens nothing: package stdio does it for each command.
func openDevNull() (int, error) { return -1, nil }

// RestrictThread does nothing: only Linux has no_new_privs.
func RestrictThread() error { return nil }

func (c *Command) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: c.identity.credential()}
}

func (c *Command) fork(file string, argv []string, attr *syscall.SysProcAttr) (kill.Child, error) {
	process, err := os.StartProcess(file, argv, &os.ProcAttr{
		Dir: c.order.WorkingDir, Env: c.env, Files: c.streams.ChildFiles(), Sys: attr,
	})
	if err != nil {
		return kill.Child{}, err
	}
	return kill.Child{Pid: process.Pid, Process: process}, nil
}

package kill

import (
	"os"
	"syscall"

	"shellcron.dev/launcher/internal/clock"
)

// Child is a process that the launcher started.
type Child struct {
	Pid     int
	Process *os.Process
}

func (c Child) wait() Exit {
	state, err := c.Process.Wait()
	if err != nil {
		return Exit{At: clock.NowMs(), Signal: "SIGKILL"}
	}
	return exitOf(clock.NowMs(), state.Sys().(syscall.WaitStatus), state.SysUsage().(*syscall.Rusage))
}

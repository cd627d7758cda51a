package kill

import (
	"os"
	"sync"

	"golang.org/x/sys/windows"

	"shellcron.dev/launcher/internal/clock"
)

// Child is a process that the launcher started.
type Child struct {
	Pid     int
	Process *os.Process
	Job     *Job
}

func (c Child) wait() Exit {
	state, err := c.Process.Wait()
	if err != nil {
		return Exit{At: clock.NowMs(), Code: killedCode}
	}
	return Exit{At: clock.NowMs(), Code: state.ExitCode()}
}

// killedCode is the exit code of a process that was killed: Windows has no signals.
const killedCode = 1

// Job is a job object: a process, and all that it and its children start. Windows kills them when the launcher ends, however that
// happens.
type Job struct {
	mu     sync.Mutex
	handle windows.Handle
}

// NewJob takes over a handle.
func NewJob(handle windows.Handle) *Job { return &Job{handle: handle} }

// Kill ends every process of the job.
func (j *Job) Kill() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.handle != 0 {
		_ = windows.TerminateJobObject(j.handle, killedCode)
	}
}

// Close kills what is left and gives the handle back.
func (j *Job) Close() {
	j.Kill()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.handle != 0 {
		_ = windows.CloseHandle(j.handle)
		j.handle = 0
	}
}

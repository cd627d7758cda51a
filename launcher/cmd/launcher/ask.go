package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const answerWithin = 5 * time.Second

// askWith runs programs whose end the reaper tells; whatever goes wrong, the answer is empty.
func askWith(reaper *reaper, devNull int) ask {
	return func(program string, args ...string) []string {
		var ends [2]int
		if unix.Pipe2(ends[:], unix.O_CLOEXEC) != nil {
			return nil
		}
		_ = unix.SetNonblock(ends[0], true)
		answer := os.NewFile(uintptr(ends[0]), program)
		defer answer.Close()
		attr := &syscall.ProcAttr{
			Env:   []string{"PATH=" + defaultPath},
			Files: []uintptr{uintptr(devNull), uintptr(ends[1]), uintptr(devNull)},
		}
		reaper.begin()
		pid, err := tryEach(candidates(program, defaultPath, "/"), append([]string{program}, args...),
			func(file string, argv []string) (int, error) { return syscall.ForkExec(file, argv, attr) })
		_ = unix.Close(ends[1])
		if err != nil {
			reaper.giveUp()
			return nil
		}
		status := make(chan syscall.WaitStatus, 1)
		reaper.claim(pid, func(how exit) { status <- how.status })
		_ = answer.SetReadDeadline(time.Now().Add(answerWithin))
		lines, err := io.ReadAll(answer)
		if err != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if (<-status).ExitStatus() != 0 {
			return nil
		}
		return strings.Split(string(bytes.TrimSpace(lines)), "\n")
	}
}

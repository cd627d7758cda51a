package start

import (
	"bytes"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/kill"
)

const nameServiceTimeout = 5 * time.Second

// newNameService runs `getent` and `id`, which ask NSS: a static program cannot load NSS's modules itself.
func newNameService(reaper *kill.Reaper, devNull int) nameService {
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
		reaper.Begin()
		pid, err := tryEach(candidates(program, defaultPath, "/"), append([]string{program}, args...),
			func(file string, argv []string) (int, error) { return syscall.ForkExec(file, argv, attr) })
		_ = unix.Close(ends[1])
		if err != nil {
			reaper.GiveUp()
			return nil
		}
		exited := make(chan kill.Exit, 1)
		reaper.Claim(kill.Child{Pid: pid}, func(exit kill.Exit) { exited <- exit })
		_ = answer.SetReadDeadline(time.Now().Add(nameServiceTimeout))
		lines, err := io.ReadAll(answer)
		if err != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if exit := <-exited; exit.Code != 0 || exit.Signal != "" {
			return nil
		}
		return strings.Split(string(bytes.TrimSpace(lines)), "\n")
	}
}

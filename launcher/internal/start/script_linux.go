package start

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// scriptPath is where a command finds its script. It is the command's descriptor 3: no file is written that another user could change,
// or that could be left behind.
const scriptPath = "/proc/self/fd/3"

// openScript makes a file in memory that every user may read and nobody may write.
func openScript(text string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("script", flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		// Before Linux 6.3.
		fd, err = unix.MemfdCreate("script", flags)
	}
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	for rest := []byte(text); len(rest) > 0 && err == nil; {
		var n int
		n, err = unix.Write(fd, rest)
		rest = rest[max(n, 0):]
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err == nil {
		_, err = unix.Seek(fd, 0, 0)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("write the script", err)
	}
	return fd, nil
}

// argv is the order's, with the script's path.
func (c *Command) argv() []string {
	if c.script < 0 {
		return c.order.Argv
	}
	return append(slices.Clone(c.order.Argv), scriptPath)
}

// files are the descriptors that the command gets.
func (c *Command) files() []uintptr {
	files := c.streams.ChildFiles()
	if c.script >= 0 {
		files = append(files, uintptr(c.script))
	}
	return files
}

func (c *Command) closeScript() {
	if c.script >= 0 {
		_ = unix.Close(c.script)
		c.script = -1
	}
}

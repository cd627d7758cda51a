package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData is fdatasync.
func syncData(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var syncErr error
	if err := raw.Control(func(fd uintptr) { syncErr = unix.Fdatasync(int(fd)) }); err != nil {
		return nil // A rewrite replaced the file, and synced the new one.
	}
	return os.NewSyscallError("fdatasync", syncErr)
}

//go:build unix

package spool

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// errorName is the name in <errno.h>, as ENOSPC.
func errorName(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		if name := unix.ErrnoName(number); name != "" {
			return name
		}
	}
	return "Unknown"
}

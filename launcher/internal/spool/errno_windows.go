package spool

import (
	"errors"

	"golang.org/x/sys/windows"
)

// errorName is the name that <errno.h> has for the most likely errors.
func errorName(err error) string {
	switch {
	case errors.Is(err, windows.ERROR_DISK_FULL), errors.Is(err, windows.ERROR_HANDLE_DISK_FULL):
		return "ENOSPC"
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return "EACCES"
	default:
		return "Unknown"
	}
}

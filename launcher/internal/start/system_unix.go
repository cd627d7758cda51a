//go:build unix

package start

import "syscall"

// What every Unix has.
const (
	hasRusage = true
	hasUsers  = true
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func defaultEnvironment() map[string]string { return map[string]string{"PATH": defaultPath} }

// suffixes are those of programs.
var suffixes = []string{""}

func isBadFormat(number syscall.Errno) bool { return number == syscall.ENOEXEC }

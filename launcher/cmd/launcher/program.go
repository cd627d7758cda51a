package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// startFailure is a command that could not be started. `code` is what a shell would have exited with, 0 for none.
type startFailure struct {
	reason, message string
	code            int
}

// failureOf explains what fork or exec said; ENOENT may mean the program or the folder.
func failureOf(err error, order *arm) *startFailure {
	if info, statErr := os.Stat(order.workingDir); statErr != nil || !info.IsDir() {
		return &startFailure{reason: "NoSuchDirectory", message: order.workingDir + " is no directory"}
	}
	program := order.argv[0]
	var number syscall.Errno
	errors.As(err, &number)
	switch number {
	case unix.ENOENT, unix.ENOTDIR:
		return &startFailure{"NotFound", program + " was not found", 127}
	case unix.EACCES:
		message := "no permission to execute " + program + " or to enter " + order.workingDir
		return &startFailure{"NotExecutable", message, 126}
	case unix.ENOEXEC:
		return &startFailure{"NotExecutable", program + " has no format that can be executed", 126}
	case unix.E2BIG:
		return &startFailure{"TooBig", "arguments and environment exceed what the system takes", 126}
	case unix.EPERM:
		return &startFailure{"NotPermitted", err.Error(), 126}
	default:
		return &startFailure{reason: "NoResources", message: err.Error()}
	}
}

// candidates are the files that a program's name may mean, as execvp looks for them: all that exist, the best first.
func candidates(program, path, workingDir string) []string {
	if strings.Contains(program, "/") {
		return []string{program}
	}
	var found []string
	for folder := range strings.SplitSeq(path, ":") {
		file := filepath.Join(folder, program)
		if folder == "" {
			// A bare name would be no path: what `exec` gets must hold a slash.
			file = "./" + program
		}
		absolute := file
		if !filepath.IsAbs(file) {
			absolute = filepath.Join(workingDir, file)
		}
		if info, err := os.Stat(absolute); err == nil && !info.IsDir() {
			found = append(found, file)
		}
	}
	return found
}

// tryEach calls `exec` with one file after the other, as execvp does: who may not execute one looks on, and what has no format
// is a script for the shell.
func tryEach(files, argv []string, exec func(file string, argv []string) (int, error)) (pid int, err error) {
	err = unix.ENOENT
	for _, file := range files {
		pid, tried := exec(file, argv)
		if errors.Is(tried, unix.ENOEXEC) {
			pid, tried = exec("/bin/sh", append([]string{"/bin/sh", file}, argv[1:]...))
		}
		if tried == nil {
			return pid, nil
		}
		if errors.Is(err, unix.ENOENT) {
			err = tried
		}
		if !errors.Is(tried, unix.EACCES) && !errors.Is(tried, unix.ENOENT) && !errors.Is(tried, unix.ENOTDIR) {
			return 0, tried
		}
	}
	return 0, err
}

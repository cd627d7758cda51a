// Package notes reads what a run tells about itself, in a file of its own, a line each:
//
//	cgroup PATH   processes in this group, or below, belong to the run's tree
//	told TEXT     goes into the exit record
//
// The files lie in a folder beside the spools, under the same names, and are removed with them.
package notes

import (
	"os"
	"path/filepath"
	"strings"
)

// Variable is the environment variable that tells the command the path of its notes.
const Variable = "SHELLCRON_NOTES"

const (
	maxBytes = 64 << 10
	// groupPrefix begins the name of every group that may be named: a note must not kill the whole machine.
	groupPrefix = "shellcron-"
)

// Create makes an empty file of notes.
func Create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// Read returns the groups, and the last text that was told. A path of "" is a run without notes. A last line without its end is
// ignored.
func Read(path string) (cgroups []string, told *string) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if err != nil || len(content) > maxBytes {
		return nil, nil
	}
	lines := strings.Split(string(content), "\n")
	for _, line := range lines[:len(lines)-1] {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "cgroup":
			if filepath.IsAbs(rest) && strings.HasPrefix(filepath.Base(rest), groupPrefix) {
				cgroups = append(cgroups, rest)
			}
		case "told":
			told = &rest
		}
	}
	return cgroups, told
}

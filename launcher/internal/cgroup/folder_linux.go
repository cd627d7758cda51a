package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Write writes a file of a group.
func Write(folder, name, value string) error {
	file, err := os.OpenFile(filepath.Join(folder, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}

// Kill sends SIGKILL to every process in a group and below.
func Kill(folder string) {
	if Write(folder, "cgroup.kill", "1") == nil {
		return
	}
	for _, pid := range Pids(folder) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// Pids returns the processes in a group and below.
func Pids(folder string) []int {
	var pids []int
	content, _ := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	for line := range strings.FieldsSeq(string(content)) {
		if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	for _, below := range groupsIn(folder) {
		pids = append(pids, Pids(below)...)
	}
	return pids
}

// Remove removes a group and those below. It is false if a process is left in there.
func Remove(folder string) bool {
	err := unix.Rmdir(folder)
	if err == nil || err == unix.ENOENT {
		return true
	}
	for _, below := range groupsIn(folder) {
		Remove(below)
	}
	return unix.Rmdir(folder) == nil
}

// OOMKills is the count of a memory.events or memory.oom_control file.
func OOMKills(path string) int { return eventCount(path, "oom_kill") }

func eventCount(path, event string) int {
	content, _ := os.ReadFile(path)
	for line := range strings.Lines(string(content)) {
		if count, found := strings.CutPrefix(line, event+" "); found {
			number, _ := strconv.Atoi(strings.TrimSpace(count))
			return number
		}
	}
	return 0
}

// A killed process takes a moment to leave its group.
const (
	clearWithin = time.Second
	clearStep   = 5 * time.Millisecond
)

// killAndRemove kills and removes a group. It stays if a process in it does not die.
func killAndRemove(folder string) {
	for until := time.Now().Add(clearWithin); ; time.Sleep(clearStep) {
		Kill(folder)
		if Remove(folder) || time.Now().After(until) {
			return
		}
	}
}

func groupsIn(folder string) []string {
	entries, _ := os.ReadDir(folder)
	var groups []string
	for _, entry := range entries {
		if entry.IsDir() {
			groups = append(groups, filepath.Join(folder, entry.Name()))
		}
	}
	return groups
}

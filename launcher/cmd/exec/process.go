//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a process of this machine. A pid and the ticks of its start name one process.
type process struct {
	pid   int
	ticks string
}

const (
	flagExiting = 0x4 // PF_EXITING
	fieldState  = 0
	fieldFlags  = 6
	fieldTicks  = 19
)

// statOf returns the fields of /proc/PID/stat after the command's name, which may hold anything; nil if the process has gone.
func statOf(pid int) []string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= fieldTicks {
		return nil
	}
	return fields
}

func processOf(pid int) (process, bool) {
	fields := statOf(pid)
	if fields == nil {
		return process{}, false
	}
	return process{pid, fields[fieldTicks]}, true
}

// isAlive is false as soon as the process begins to exit.
func (p process) isAlive() bool {
	fields := statOf(p.pid)
	if fields == nil || fields[fieldTicks] != p.ticks || fields[fieldState] == "Z" || fields[fieldState] == "X" {
		return false
	}
	flags, err := strconv.ParseUint(fields[fieldFlags], 10, 64)
	return err != nil || flags&flagExiting == 0
}

// wait returns when the process has ended.
func (p process) wait() {
	const lookEvery = 50 * time.Millisecond
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err == nil {
		defer unix.Close(fd)
		for p.isAlive() {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err != nil && !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
	for p.isAlive() {
		time.Sleep(lookEvery)
	}
}

// inNamespaceOf finds the process that has the pid `inner` in the pid namespace of `init`.
func inNamespaceOf(init, inner int) (process, bool) {
	namespace, err := os.Readlink(pidNamespace(init))
	if err != nil {
		return process{}, false
	}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || innermostPid(pid) != inner {
			continue
		}
		if found, err := os.Readlink(pidNamespace(pid)); err == nil && found == namespace {
			return processOf(pid)
		}
	}
	return process{}, false
}

func pidNamespace(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/ns/pid" }

// innermostPid is a process's pid in its own namespace; 0 if it has gone.
func innermostPid(pid int) int {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range strings.Lines(string(status)) {
		if numbers, found := strings.CutPrefix(line, "NSpid:"); found {
			fields := strings.Fields(numbers)
			inner, _ := strconv.Atoi(fields[len(fields)-1])
			return inner
		}
	}
	return 0
}

package proc

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Read returns a process; false if it has gone, or cannot be read. A zombie counts as gone unless `zombies` is true.
func Read(pid int, zombies bool) (Process, bool) {
	var buffer [1024]byte
	return parse(pid, readSmall(statPath(pid), buffer[:]), zombies)
}

// HasGone says whether the process with these ticks has ended. One that cannot be read, because no descriptor is free, has not.
func HasGone(pid int, ticks uint64) bool {
	stat, err := os.ReadFile(statPath(pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH)
	}
	now, isAlive := parse(pid, stat, false)
	return !isAlive || now.Ticks != ticks
}

// Table returns every living process. It is empty, or incomplete, while no descriptor is free.
func Table() []Process {
	folder, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(-1)
	var table []Process
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if found, isAlive := Read(pid, false); isAlive {
				table = append(table, found)
			}
		}
	}
	return table
}

// Name is the name of a process's program, at most 15 bytes; "" if it has gone.
func Name(pid int) string {
	var buffer [64]byte
	return strings.TrimSuffix(string(readSmall("/proc/"+strconv.Itoa(pid)+"/comm", buffer[:])), "\n")
}

// Catches says whether a process has a handler for a signal.
func Catches(pid int, number unix.Signal) bool {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range bytes.Lines(status) {
		if mask, found := bytes.CutPrefix(line, []byte("SigCgt:")); found {
			bits, _ := strconv.ParseUint(string(bytes.TrimSpace(mask)), 16, 64)
			return bits>>(uint(number)-1)&1 == 1
		}
	}
	return false
}

// Environment returns the variables that a process was started with, each ended by a zero byte.
func Environment(pid int) []byte {
	environ, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return environ
}

func statPath(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/stat" }

func parse(pid int, stat []byte, zombies bool) (Process, bool) {
	// The command's name, in parentheses, may hold anything.
	var fields [20]string
	n := 0
	for field := range strings.FieldsSeq(string(stat[bytes.LastIndexByte(stat, ')')+1:])) {
		if fields[n] = field; n == len(fields)-1 {
			break
		}
		n++
	}
	if fields[19] == "" || !zombies && (fields[0] == "Z" || fields[0] == "X") {
		return Process{}, false
	}
	parent, _ := strconv.Atoi(fields[1])
	group, _ := strconv.Atoi(fields[2])
	session, _ := strconv.Atoi(fields[3])
	ticks, _ := strconv.ParseUint(fields[19], 10, 64)
	return Process{pid, parent, group, session, ticks}, true
}

// readSmall reads a file of /proc that fits the buffer; nothing if it does not exist. os.ReadFile takes twice as many system calls,
// and this is called for every process of the machine.
func readSmall(path string, buffer []byte) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	n, _ := unix.Read(fd, buffer)
	_ = unix.Close(fd)
	return buffer[:max(n, 0)]
}

package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

func itoa(number int) string { return strconv.Itoa(number) }

// process is one as /proc shows it. `ticks`: its start, in kernel ticks since boot; with it a pid names one process only.
type process struct {
	pid, parent, group, session int
	ticks                       uint64
}

// root is the root of a run's process tree: the command itself, leader of a session and group of its own.
type root struct {
	pid   int
	ticks uint64 // 0: not known
	mark  string
	// isGroupKnown: false if it was too long unobserved to know that the numbers of its group and session are still its own.
	isGroupKnown bool
	// strays are members that were seen outside the session, pid to ticks: they are remembered when their parent has gone.
	strays map[int]uint64
	group  *runGroup
	// isConfined: none of the tree could leave its cgroup, which takes the rights of root.
	isConfined bool
	// notes is the path of the run's notes, or ""; named is what they named when they were read for good.
	notes string
	named atomic.Pointer[[]string]
	// sparedUntil: until then the command itself is not killed with what it runs elsewhere.
	sparedUntil atomic.Pointer[time.Time]
}

// readProcess is false if it is gone, or cannot be looked at. A zombie is there only for who asks for it.
func readProcess(pid int, zombies bool) (process, bool) {
	var buffer [1024]byte
	return parseProcess(pid, readSmall(statOf(pid), buffer[:]), zombies)
}

// hasGone says whether the process that began so is no more. One that cannot be looked at, for want of descriptors, has not.
func hasGone(pid int, ticks uint64) bool {
	stat, err := os.ReadFile(statOf(pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH)
	}
	now, alive := parseProcess(pid, stat, false)
	return !alive || now.ticks != ticks
}

func statOf(pid int) string { return "/proc/" + itoa(pid) + "/stat" }

func parseProcess(pid int, stat []byte, zombies bool) (process, bool) {
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
		return process{}, false
	}
	parent, _ := strconv.Atoi(fields[1])
	group, _ := strconv.Atoi(fields[2])
	session, _ := strconv.Atoi(fields[3])
	ticks, _ := strconv.ParseUint(fields[19], 10, 64)
	return process{pid, parent, group, session, ticks}, true
}

// readSmall reads a file of the kernel's that fits the buffer; nothing if it is not there. os.ReadFile takes twice as many calls, and
// this is called for every process there is.
func readSmall(path string, buffer []byte) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	n, _ := unix.Read(fd, buffer)
	_ = unix.Close(fd)
	return buffer[:max(n, 0)]
}

// processTable is every living process.
func processTable() []process {
	folder, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(-1)
	var table []process
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if found, alive := readProcess(pid, false); alive {
				table = append(table, found)
			}
		}
	}
	return table
}

// hasUs is false if the table is not to be believed.
func hasUs(table []process) bool {
	return slices.ContainsFunc(table, func(each process) bool { return each.pid == os.Getpid() })
}

// membersOf says which processes belong to which root: by cgroup, group, session, ancestry, by having been seen before, or by
// the root's mark in their environment. Never this process or its ancestors, nor by their mark those in the session of another
// root that lives, which may be the next attempt of the same run.
func membersOf(roots []*root, table []process, living map[*root]bool) map[*root][]process {
	children, byPid := map[int][]process{}, map[int]process{}
	for _, each := range table {
		children[each.parent] = append(children[each.parent], each)
		byPid[each.pid] = each
	}
	spared := lineage(byPid)
	marked := markedBy(roots, table, living)
	members := map[*root][]process{}
	for _, root := range roots {
		found := map[int]bool{}
		var visit func(process)
		visit = func(each process) {
			if found[each.pid] || spared[each.pid] {
				return
			}
			found[each.pid] = true
			members[root] = append(members[root], each)
			for _, child := range children[each.pid] {
				visit(child)
			}
		}
		first, there := byPid[root.pid]
		isReused := root.ticks != 0 && there && first.ticks != root.ticks
		byGroup := root.isGroupKnown && !isReused
		for _, each := range table {
			if root.owns(each, byGroup) {
				visit(each)
			}
		}
		for _, pid := range root.pidsInGroups() {
			if each, there := byPid[pid]; there {
				visit(each)
			}
		}
		for _, each := range marked[root] {
			visit(each)
		}
	}
	return members
}

func (r *root) owns(each process, byGroup bool) bool {
	if each.pid == r.pid {
		return r.ticks == 0 || each.ticks == r.ticks
	}
	if ticks, seen := r.strays[each.pid]; seen && ticks == each.ticks {
		return true
	}
	return byGroup && (each.group == r.pid || each.session == r.pid)
}

func markedBy(roots []*root, table []process, living map[*root]bool) map[*root][]process {
	byMark, sessions := map[string]*root{}, map[int]bool{}
	oldest := uint64(math.MaxUint64)
	for other := range living {
		sessions[other.pid] = true
	}
	for _, root := range roots {
		delete(sessions, root.pid)
		oldest = min(oldest, root.ticks)
		if root.mark != "" {
			byMark[root.mark] = root
		}
	}
	found := map[*root][]process{}
	if len(byMark) == 0 {
		return found
	}
	for _, each := range table {
		if each.ticks < oldest || sessions[each.session] {
			continue
		}
		environ, _ := os.ReadFile("/proc/" + itoa(each.pid) + "/environ")
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if root := byMark[string(variable)]; root != nil {
				found[root] = append(found[root], each)
			}
		}
	}
	return found
}

func lineage(byPid map[int]process) map[int]bool {
	pids := map[int]bool{1: true}
	for pid := os.Getpid(); pid != 0 && !pids[pid]; pid = byPid[pid].parent {
		pids[pid] = true
	}
	return pids
}

package proc

import "golang.org/x/sys/unix"

// isZombie is SZOMB of <sys/proc.h>.
const isZombie = 5

// Read returns a process; false if it has gone, or cannot be read. A zombie counts as gone unless `zombies` is true.
func Read(pid int, zombies bool) (Process, bool) {
	found, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(found.Proc.P_pid) != pid {
		return Process{}, false
	}
	return processOf(found, zombies)
}

// HasGone says whether the process with these ticks has ended.
func HasGone(pid int, ticks uint64) bool {
	now, isAlive := Read(pid, false)
	return !isAlive || now.Ticks != ticks
}

// Catches is not known here, and so every process may have a handler.
func Catches(int, unix.Signal) bool { return true }

// Table returns every living process.
func Table() []Process {
	all, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil
	}
	var table []Process
	for n := range all {
		if found, isAlive := processOf(&all[n], false); isAlive {
			table = append(table, found)
		}
	}
	return table
}

// Environment is not read on darwin: a process is known by its group, its session and its parents there, not by its mark.
func Environment(int) []byte { return nil }

func processOf(found *unix.KinfoProc, zombies bool) (Process, bool) {
	if !zombies && found.Proc.P_stat == isZombie {
		return Process{}, false
	}
	pid := int(found.Proc.P_pid)
	session, _ := unix.Getsid(pid)
	start := found.Proc.P_starttime
	ticks := uint64(start.Sec)*1e6 + uint64(start.Usec)
	return Process{pid, int(found.Eproc.Ppid), int(found.Eproc.Pgid), session, ticks}, true
}

// Name is the name of a process's program; "" if it has gone.
func Name(pid int) string {
	found, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return ""
	}
	return unix.ByteSliceToString(found.Proc.P_comm[:])
}

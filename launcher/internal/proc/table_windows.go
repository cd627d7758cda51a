package proc

import "golang.org/x/sys/windows"

// Read returns the process's start as its ticks; false if it has gone.
func Read(pid int, _ bool) (Process, bool) {
	handle, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION|windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return Process{}, false
	}
	defer windows.CloseHandle(handle)
	if state, err := windows.WaitForSingleObject(handle, 0); err != nil || state == windows.WAIT_OBJECT_0 {
		return Process{}, false
	}
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(handle, &created, &exited, &kernel, &user); err != nil {
		return Process{}, false
	}
	return Process{Pid: pid, Ticks: uint64(created.Nanoseconds())}, true
}

// HasGone says whether the process with these ticks has ended.
func HasGone(pid int, ticks uint64) bool {
	now, isAlive := Read(pid, false)
	return !isAlive || now.Ticks != ticks
}

// Name is not known here: a job object ends what a command leaves.
func Name(int) string { return "" }

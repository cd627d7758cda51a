// Package proc reads the process table. Windows has none here: a job object knows its processes.
package proc

// Process is an entry of the process table.
type Process struct {
	Pid, Parent, Group, Session int
	// Ticks is the process's start, in units of the system (Linux: kernel ticks since boot). A pid and its ticks name one process.
	Ticks uint64
}

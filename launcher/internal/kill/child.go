// Package end waits for the processes that the launcher started, and kills the process trees of runs.
package kill

import "shellcron.dev/launcher/internal/wire"

// Exit is how a process ended.
type Exit struct {
	// At is when, Unix ms.
	At int64
	// Code is the exit code; nothing if a signal ended the process.
	Code int
	// Signal is the signal's name, as SIGKILL, or "".
	Signal string
	// Rusage is nil where it is not measured.
	Rusage *wire.Rusage
}

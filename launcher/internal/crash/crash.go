// Package crash ends the process when one of its goroutines has a bug, and ends the runs first: without the launcher, nothing
// enforces their deadlines and fences.
package crash

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
)

var handler = func() {}

// Handle sets the function that runs before the process ends. Call it before the first Go.
func Handle(act func()) { handler = act }

// Go runs a goroutine. A panic in it ends the process.
func Go(work func()) { go Run(work) }

// Run calls work. A panic in it ends the process.
func Run(work func()) {
	defer func() {
		if problem := recover(); problem != nil {
			handler()
			slog.Error("launcher.broken", "error", fmt.Sprint(problem), "stack", string(debug.Stack()))
			os.Exit(1)
		}
	}()
	work()
}

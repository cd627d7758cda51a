package main

import (
	"fmt"
	"os"
	"runtime/debug"
)

// broken is called before a process ends that has a bug: nobody will be there to enforce deadlines and fences.
var broken = func() {}

// guard runs a goroutine whose panic does not leave runs unwatched.
func guard(work func()) { go rescue(work) }

func rescue(work func()) {
	defer func() {
		if problem := recover(); problem != nil {
			broken()
			logEvent(levelError, "launcher.broken", fields{"error": fmt.Sprint(problem), "stack": string(debug.Stack())})
			os.Exit(1)
		}
	}()
	work()
}

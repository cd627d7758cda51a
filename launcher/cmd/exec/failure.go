//go:build linux

package main

import (
	"errors"
	"fmt"
)

// The reasons of commands that did not run to their end.
const (
	containerNotFound   = "ContainerNotFound"
	containerNotRunning = "ContainerNotRunning"
	containerGone       = "ContainerGone"
	containerAmbiguous  = "ContainerAmbiguous"
	noSuchShell         = "NoSuchShell"
	noSuchDirectory     = "NoSuchDirectory"
	runtimeUnavailable  = "RuntimeUnavailable"
	notConfinable       = "NotConfinable"
)

// failure is why a command did not run to its end.
type failure struct{ reason, message string }

func (f *failure) Error() string { return f.reason + ": " + f.message }

func failed(reason, format string, values ...any) *failure {
	return &failure{reason, fmt.Sprintf(format, values...)}
}

// failureOf turns any other error into one of the runtime.
func failureOf(err error) *failure {
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	return failed(runtimeUnavailable, "%v", err)
}

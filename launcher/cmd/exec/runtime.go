//go:build linux

package main

import (
	"context"
	"io"
)

// containerRuntime runs containers on this machine.
type containerRuntime interface {
	// find returns the containers that match the request, running or not. That none matches is no error.
	find(ctx context.Context, asked *request) ([]container, error)
	// initPid is the pid of the container's first process, in this program's pid namespace; a failure if it does not run.
	initPid(ctx context.Context, id string) (int, error)
	// exec starts a process in a container.
	exec(ctx context.Context, id string, argv []string, tty bool) (session, error)
	// socket is the path of its socket, for messages.
	socket() string
	close()
}

type container struct {
	id string
	// name is for messages.
	name      string
	isRunning bool
	// created orders containers. It may be any number that grows.
	created int64
}

// session is a process that the runtime started in a container.
type session interface {
	stdin() io.Writer
	// closeInput ends the stdin of the process.
	closeInput()
	stdout() io.Reader
	// stderr is nil with a terminal.
	stderr() io.Reader
	// wait is called when the output has ended, and returns the exit code.
	wait() (code int, err error)
	// close ends the connection to the process.
	close()
}

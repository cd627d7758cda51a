//go:build linux

package main

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
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
	stdout() io.Reader
	// stderr is nil with a terminal.
	stderr() io.Reader
	// wait is called when the output has ended, and returns the exit code.
	wait() (code int, err error)
	// close ends the connection to the process.
	close()
}

// choose returns the containers that the command runs in. For One that is the oldest that runs, so that it stays the same as long as
// that one lives.
func choose(found []container, asked *request, runtimes []containerRuntime) ([]container, error) {
	var running []container
	for _, each := range found {
		if each.isRunning {
			running = append(running, each)
		}
	}
	if len(found) == 0 {
		return nil, failed(containerNotFound, "%s", asked.describe(runtimes))
	}
	if len(running) == 0 {
		return nil, failed(containerNotRunning, "container %s is not running", found[0].name)
	}
	slices.SortFunc(running, byAge)
	if asked.Pick != "Each" {
		running = running[:1]
	}
	return running, nil
}

func byAge(a, b container) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
}

func (r *request) describe(runtimes []containerRuntime) string {
	what := "no container"
	if r.Name != "" {
		what = "no container " + r.Name
	}
	var sockets []string
	for _, each := range runtimes {
		sockets = append(sockets, each.socket())
	}
	return what + " on this machine is in namespace " + r.Namespace + " and has the labels of the selector (runtimes: " +
		strings.Join(sockets, ", ") + ")"
}

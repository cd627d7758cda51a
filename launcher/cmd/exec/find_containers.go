//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
)

// findContainers chooses the containers, and returns the runtime of each.
func findContainers(ctx context.Context, asked *request) (chosen []container, of map[string]containerRuntime, err error) {
	runtimes, err := openRuntimes(ctx, asked)
	if err != nil {
		return nil, nil, err
	}
	var found []container
	of = map[string]containerRuntime{}
	for _, each := range runtimes {
		more, err := each.find(ctx, asked)
		var known *failure
		if err != nil && !errors.As(err, &known) {
			err = failed(runtimeUnavailable, "%s: %v", each.socket(), err)
		}
		if err != nil {
			return nil, nil, err
		}
		for _, one := range more {
			// Two sockets may belong to one engine: Podman's is often linked in the place of Docker's.
			if of[one.id] == nil {
				of[one.id] = each
				found = append(found, one)
			}
		}
	}
	chosen, err = choose(found, asked, runtimes)
	return chosen, of, err
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

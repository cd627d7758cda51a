package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const dialWithin = 5 * time.Second

// criSockets are where Kubernetes' runtimes listen, httpSockets those with Docker's API.
var (
	criSockets = []string{
		"/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock", "/run/crio/crio.sock", "/run/cri-dockerd.sock",
	}
	httpSockets = []string{"/run/docker.sock", "/run/podman/podman.sock"}
)

// openRuntimes connects to the runtimes of this machine: those that are named, else the first well-known one that serves CRI. Where
// there are Pods, or may be, nobody else is asked: what else runs on a Kubernetes node belongs to no namespace, and to no job. On other
// machines those that serve Docker's API are, too: Debian's containerd serves CRI beside Docker, and has nothing to show there.
func openRuntimes(ctx context.Context, asked *request) ([]containerRuntime, error) {
	if len(asked.Endpoints) > 0 {
		return openNamed(ctx, asked.Endpoints)
	}
	opened, complaints := openFirstCRI(ctx)
	if opened != nil && (asked.PodsOnly || opened.hasPods(ctx)) {
		return []containerRuntime{opened}, nil
	}
	var all []containerRuntime
	if opened != nil {
		all = append(all, opened)
	}
	if !asked.PodsOnly {
		for _, path := range append(httpSockets, rootlessSockets()...) {
			if each, err := openDocker(ctx, path); err == nil {
				all = append(all, each)
			} else if isThere(path) {
				complaints = append(complaints, err)
			}
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	why := "none of the well-known sockets is there"
	if len(complaints) > 0 {
		why = strings.ReplaceAll(errors.Join(complaints...).Error(), "\n", "; ")
	}
	return nil, failed(runtimeUnavailable,
		"no container runtime answers on this machine (%s); start the agent with --runtime-endpoint unix:///path/of/its.sock", why)
}

func openFirstCRI(ctx context.Context) (*criRuntime, []error) {
	var complaints []error
	for _, path := range criSockets {
		if opened, err := openCRI(ctx, path); err == nil {
			return opened, nil
		} else if isThere(path) {
			complaints = append(complaints, err)
		}
	}
	return nil, complaints
}

func openNamed(ctx context.Context, endpoints []string) ([]containerRuntime, error) {
	var opened []containerRuntime
	for _, endpoint := range endpoints {
		path := strings.TrimPrefix(endpoint, "unix://")
		var each containerRuntime
		var err error
		if servesHTTP(ctx, path) {
			each, err = openDocker(ctx, path)
		} else {
			each, err = openCRI(ctx, path)
		}
		if err != nil {
			for _, other := range opened {
				other.close()
			}
			return nil, failed(runtimeUnavailable, "%s, which --runtime-endpoint names, does not answer: %v", endpoint, err)
		}
		opened = append(opened, each)
	}
	return opened, nil
}

// rootlessSockets are of who is not root: root does not look into others' containers unless it is told to.
func rootlessSockets() []string {
	uid := os.Getuid()
	if uid == 0 {
		return nil
	}
	dir := "/run/user/" + strconv.Itoa(uid)
	return []string{dir + "/podman/podman.sock", dir + "/docker.sock"}
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialWithin}
	return dialer.DialContext(ctx, "unix", path)
}

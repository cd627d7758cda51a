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

// openRuntimes connects to the runtimes of this machine: those that are named, else the first well-known one that serves CRI: what
// else may run on a Kubernetes node belongs to no namespace, and to no job; and on a machine without, all that serve Docker's API.
func openRuntimes(ctx context.Context, endpoints []string) ([]containerRuntime, error) {
	if len(endpoints) > 0 {
		return openNamed(ctx, endpoints)
	}
	var complaints []error
	for _, path := range criSockets {
		if opened, err := openCRI(ctx, path); err == nil {
			return []containerRuntime{opened}, nil
		} else if isThere(path) {
			complaints = append(complaints, err)
		}
	}
	var opened []containerRuntime
	for _, path := range append(httpSockets, rootlessSockets()...) {
		if each, err := openDocker(ctx, path); err == nil {
			opened = append(opened, each)
		} else if isThere(path) {
			complaints = append(complaints, err)
		}
	}
	if len(opened) > 0 {
		return opened, nil
	}
	why := "none of the well-known sockets is there"
	if len(complaints) > 0 {
		why = strings.ReplaceAll(errors.Join(complaints...).Error(), "\n", "; ")
	}
	return nil, failed(runtimeUnavailable,
		"no container runtime answers on this machine (%s); start the agent with --runtime-endpoint unix:///path/of/its.sock", why)
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

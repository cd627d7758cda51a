//go:build linux

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

// criSockets are those of Kubernetes' runtimes, httpSockets those of runtimes with Docker's API.
var (
	criSockets = []string{
		"/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock", "/run/crio/crio.sock", "/run/cri-dockerd.sock",
	}
	httpSockets = []string{"/run/docker.sock", "/run/podman/podman.sock"}
)

// openRuntimes connects to the runtimes of this machine: those that the request names, else the first well-known one that serves CRI.
// If that one has Pods, or this is a Kubernetes node, it is the only one: other containers of such a machine belong to no namespace.
// Otherwise the runtimes with Docker's API are added: Debian's containerd serves CRI beside Docker, and has no Pods.
func openRuntimes(ctx context.Context, asked *request) ([]containerRuntime, error) {
	if len(asked.Endpoints) > 0 {
		return openNamed(ctx, asked.Endpoints)
	}
	opened, failures := openFirstCRI(ctx)
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
			} else if exists(path) {
				failures = append(failures, err)
			}
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	why := "none of the well-known sockets is there"
	if len(failures) > 0 {
		why = strings.ReplaceAll(errors.Join(failures...).Error(), "\n", "; ")
	}
	return nil, failed(runtimeUnavailable,
		"no container runtime answers on this machine (%s); start the agent with --runtime-endpoint unix:///path/of/its.sock", why)
}

func openFirstCRI(ctx context.Context) (*criRuntime, []error) {
	var failures []error
	for _, path := range criSockets {
		if opened, err := openCRI(ctx, path); err == nil {
			return opened, nil
		} else if exists(path) {
			failures = append(failures, err)
		}
	}
	return nil, failures
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

// rootlessSockets are the current user's. Root does not look into the containers of other users unless the request names their socket.
func rootlessSockets() []string {
	uid := os.Getuid()
	if uid == 0 {
		return nil
	}
	dir := "/run/user/" + strconv.Itoa(uid)
	return []string{dir + "/podman/podman.sock", dir + "/docker.sock"}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialWithin}
	return dialer.DialContext(ctx, "unix", path)
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// apiVersion is one that every Docker and Podman in use serves.
const apiVersion = "/v1.40"

// podNamespace is the label of containers that belong to a Pod (cri-dockerd).
const podNamespace = "io.kubernetes.pod.namespace"

// dockerRuntime is Docker or Podman; both serve this API.
type dockerRuntime struct {
	path   string
	client *http.Client
}

func newDocker(path string) *dockerRuntime {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialUnix(ctx, path) }
	return &dockerRuntime{path, &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: answerWithin}}
}

func openDocker(ctx context.Context, path string) (*dockerRuntime, error) {
	if !servesHTTP(ctx, path) {
		return nil, fmt.Errorf("%s does not answer", path)
	}
	return newDocker(path), nil
}

// servesHTTP tells Docker's API from CRI.
func servesHTTP(ctx context.Context, path string) bool {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	r := newDocker(path)
	defer r.close()
	return r.call(ctx, http.MethodGet, "/_ping", nil, nil) == nil
}

func (r *dockerRuntime) close()         { r.client.CloseIdleConnections() }
func (r *dockerRuntime) socket() string { return r.path }

// call sends `from` as JSON and reads the answer into `to`, if they are not nil.
func (r *dockerRuntime) call(ctx context.Context, method, path string, from, to any) error {
	var body io.Reader
	if from != nil {
		encoded, err := json.Marshal(from)
		if err != nil {
			return err
		}
		body = bytes.NewReader(encoded)
	}
	asked, err := http.NewRequestWithContext(ctx, method, "http://runtime"+path, body)
	if err != nil {
		return err
	}
	asked.Header.Set("Content-Type", "application/json")
	answer, err := r.client.Do(asked)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return refusalOf(answer)
	}
	if to == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(to)
}

// refusal is an error that the API answered with.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return r.message }

func refusalOf(answer *http.Response) error {
	var said struct{ Message string }
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxReply))
	if json.Unmarshal(text, &said) != nil || said.Message == "" {
		said.Message = answer.Status
	}
	return &refusal{answer.StatusCode, said.Message}
}

func isRefused(err error, status int) bool {
	var said *refusal
	return errors.As(err, &said) && said.status == status
}

func (r *dockerRuntime) find(ctx context.Context, asked *request) ([]container, error) {
	var listed []struct {
		ID      string `json:"Id"`
		Names   []string
		Labels  map[string]string
		State   string
		Created int64
	}
	if err := r.call(ctx, http.MethodGet, apiVersion+"/containers/json?all=1", nil, &listed); err != nil {
		return nil, err
	}
	var found []container
	for _, each := range listed {
		name := nameOf(each.Names, asked.Name)
		namespace, isPod := each.Labels[podNamespace]
		if isPod && namespace != asked.Namespace || !asked.Selector.matches(each.Labels) || asked.Name != "" && asked.Name != name {
			continue
		}
		found = append(found, container{id: each.ID, name: name, isRunning: each.State == "running", created: each.Created})
	}
	return found, nil
}

// nameOf returns the wanted name if the container has it, else the first: links give a container further names.
func nameOf(names []string, asked string) string {
	if len(names) == 0 {
		return ""
	}
	if slices.Contains(names, "/"+asked) || slices.Contains(names, asked) {
		return asked
	}
	return strings.TrimPrefix(names[0], "/")
}

func (r *dockerRuntime) initPid(ctx context.Context, id string) (int, error) {
	var inspected struct {
		State struct {
			Running, Paused bool
			Pid             int
		}
	}
	err := r.call(ctx, http.MethodGet, apiVersion+"/containers/"+url.PathEscape(id)+"/json", nil, &inspected)
	if isRefused(err, http.StatusNotFound) {
		return 0, failed(containerGone, "%v", err)
	} else if err != nil {
		return 0, err
	}
	if !inspected.State.Running || inspected.State.Paused {
		return 0, failed(containerNotRunning, "container %.12s is not running", id)
	}
	return inspected.State.Pid, nil
}

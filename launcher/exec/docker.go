package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// apiVersion is old enough for every Docker and Podman in use.
const apiVersion = "/v1.40"

// podNamespace is on containers that are a pod's (cri-dockerd).
const podNamespace = "io.kubernetes.pod.namespace"

// dockerRuntime is Docker or Podman, by the API that both serve.
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

// servesHTTP tells Docker's API from CRI's.
func servesHTTP(ctx context.Context, path string) bool {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	r := newDocker(path)
	defer r.close()
	return r.call(ctx, http.MethodGet, "/_ping", nil, nil) == nil
}

func (r *dockerRuntime) close()         { r.client.CloseIdleConnections() }
func (r *dockerRuntime) socket() string { return r.path }

// call sends JSON and reads some, where `from` and `to` are not nil.
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

// refusal is what the API said no with.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return r.message }

func refusalOf(answer *http.Response) error {
	var said struct{ Message string }
	text, _ := io.ReadAll(io.LimitReader(answer.Body, longestWord))
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

// nameOf is the one that is asked for, if it is among them, else the first: links give a container further names.
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

func (r *dockerRuntime) exec(ctx context.Context, id string, argv []string, tty bool) (session, error) {
	order := map[string]any{
		"AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": tty, "Cmd": argv,
	}
	var made struct {
		ID string `json:"Id"`
	}
	err := r.call(ctx, http.MethodPost, apiVersion+"/containers/"+url.PathEscape(id)+"/exec", order, &made)
	if isRefused(err, http.StatusNotFound) || isRefused(err, http.StatusConflict) {
		return nil, failed(containerNotRunning, "%v", err)
	} else if err != nil {
		return nil, err
	}
	raw, err := r.start(ctx, made.ID, tty)
	if err != nil {
		return nil, err
	}
	s := &hijacked{runtime: r, id: made.ID, connection: raw}
	s.output, s.toOutput = io.Pipe()
	if tty {
		go func() {
			_, err := io.Copy(s.toOutput, raw)
			_ = s.toOutput.CloseWithError(err)
		}()
		return s, nil
	}
	s.errors, s.toErrors = io.Pipe()
	go s.split()
	return s, nil
}

// start turns a connection into the three streams of an exec.
func (r *dockerRuntime) start(ctx context.Context, id string, tty bool) (net.Conn, error) {
	raw, err := dialUnix(ctx, r.path)
	if err != nil {
		return nil, err
	}
	body := fmt.Sprintf(`{"Detach":false,"Tty":%t}`, tty)
	asked, err := http.NewRequest(http.MethodPost, "http://runtime"+apiVersion+"/exec/"+url.PathEscape(id)+"/start", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	asked.Header = http.Header{"Content-Type": {"application/json"}, "Connection": {"Upgrade"}, "Upgrade": {"tcp"}}
	connection, err := upgraded(ctx, raw, asked)
	if err != nil {
		_ = raw.Close()
		return nil, startFailure(err)
	}
	return connection, nil
}

// startFailure: a /bin/sh that is not there is told in many words, and by no code of its own.
func startFailure(err error) error {
	var said *refusal
	switch {
	case isRefused(err, http.StatusNotFound) || isRefused(err, http.StatusConflict):
		return failed(containerNotRunning, "%v", err)
	case errors.As(err, &said):
		return failed(noSuchShell, "the container has no /bin/sh that works: %v", err)
	default:
		return err
	}
}

// hijacked is an exec of Docker's API.
type hijacked struct {
	runtime            *dockerRuntime
	id                 string
	connection         net.Conn
	output, errors     *io.PipeReader
	toOutput, toErrors *io.PipeWriter
}

func (s *hijacked) stdin() io.Writer  { return s.connection }
func (s *hijacked) stdout() io.Reader { return s.output }

func (s *hijacked) stderr() io.Reader {
	if s.errors == nil {
		return nil
	}
	return s.errors
}

// split tells stdout from stderr: eight bytes say which, and how long, before each piece.
func (s *hijacked) split() {
	var header [8]byte
	var err error
	for err == nil {
		if _, err = io.ReadFull(s.connection, header[:]); err != nil {
			break
		}
		to := s.toOutput
		if header[0] == 2 {
			to = s.toErrors
		}
		_, err = io.CopyN(to, s.connection, int64(binary.BigEndian.Uint32(header[4:])))
	}
	_ = s.toOutput.CloseWithError(err)
	_ = s.toErrors.CloseWithError(err)
}

// wait: the streams may end a moment before the runtime knows how.
func (s *hijacked) wait() (int, error) {
	const pause = 20 * time.Millisecond
	for until := time.Now().Add(endWithin); ; time.Sleep(pause) {
		var inspected struct {
			Running  bool
			ExitCode *int
		}
		err := s.runtime.call(context.Background(), http.MethodGet, apiVersion+"/exec/"+url.PathEscape(s.id)+"/json", nil, &inspected)
		if err != nil {
			return 0, err
		}
		if !inspected.Running && inspected.ExitCode != nil {
			return *inspected.ExitCode, nil
		}
		if time.Now().After(until) {
			return 0, errors.New("the runtime does not tell how the command ended")
		}
	}
}

func (s *hijacked) close() {
	_ = s.connection.Close()
	_ = s.output.Close()
	if s.errors != nil {
		_ = s.errors.Close()
	}
}

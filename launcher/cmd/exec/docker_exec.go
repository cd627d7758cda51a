//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

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

// start opens a connection that carries the streams of an exec.
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

// startFailure: runtimes describe a missing /bin/sh in different words, and have no status of its own for it.
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

// hijacked is an exec of Docker's API. It takes over the HTTP connection.
type hijacked struct {
	runtime            *dockerRuntime
	id                 string
	connection         net.Conn
	output, errors     *io.PipeReader
	toOutput, toErrors *io.PipeWriter
}

func (s *hijacked) stdin() io.Writer  { return s.connection }
func (s *hijacked) stdout() io.Reader { return s.output }

func (s *hijacked) closeInput() {
	if half, is := s.connection.(interface{ CloseWrite() error }); is {
		_ = half.CloseWrite()
	}
}

func (s *hijacked) stderr() io.Reader {
	if s.errors == nil {
		return nil
	}
	return s.errors
}

// split separates stdout and stderr. Eight bytes before each piece say which it is, and its length.
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
		if _, err = io.CopyN(to, s.connection, int64(binary.BigEndian.Uint32(header[4:]))); err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	_ = s.toOutput.CloseWithError(err)
	_ = s.toErrors.CloseWithError(err)
}

// wait asks again while the runtime does not know the exit code: the streams may end a moment earlier.
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
			return 0, errors.New("the runtime does not report how the command ended")
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

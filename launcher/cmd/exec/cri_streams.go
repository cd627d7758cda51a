//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/moby/spdystream"
)

// protocolVersion is the one that kubectl exec uses. The exit code comes as JSON on a stream of its own.
const protocolVersion = "v4.channel.k8s.io"

// streams is an exec of CRI: SPDY streams of the runtime's streaming server, as the kubelet uses them.
type streams struct {
	connection                         *spdystream.Connection
	input, output, errors, end, resize *spdystream.Stream
}

func openStreams(ctx context.Context, address string, tty bool) (*streams, error) {
	place, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: dialWithin}
	raw, err := dialer.DialContext(ctx, "tcp", place.Host)
	if err != nil {
		return nil, err
	}
	upgraded, err := upgrade(ctx, raw, place)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	connection, err := spdystream.NewConnection(upgraded, false)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	go connection.Serve(spdystream.NoOpStreamHandler)
	s := &streams{connection: connection}
	if err := s.openAll(tty); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *streams) openAll(tty bool) error {
	wanted := []struct {
		kind string
		to   **spdystream.Stream
	}{{"error", &s.end}, {"stdin", &s.input}, {"stdout", &s.output}, {"stderr", &s.errors}}
	if tty {
		// The server waits for this stream. The window's size is set otherwise (terminal.go).
		wanted[3].kind, wanted[3].to = "resize", &s.resize
	}
	for _, each := range wanted {
		stream, err := s.connection.CreateStream(http.Header{"streamType": {each.kind}}, nil, false)
		if err != nil {
			return err
		}
		if err := stream.WaitTimeout(answerWithin); err != nil {
			return err
		}
		*each.to = stream
	}
	return s.end.Close()
}

func (s *streams) stdin() io.Writer  { return s.input }
func (s *streams) closeInput()       { _ = s.input.Close() }
func (s *streams) stdout() io.Reader { return s.output }

func (s *streams) stderr() io.Reader {
	if s.errors == nil {
		return nil
	}
	return s.errors
}

// wait reads a Kubernetes Status.
func (s *streams) wait() (int, error) {
	said, err := io.ReadAll(s.end)
	if err != nil {
		return 0, err
	}
	var status struct {
		Status, Reason, Message string
		Details                 struct {
			Causes []struct{ Reason, Message string }
		}
	}
	if err := json.Unmarshal(said, &status); err != nil {
		return 0, fmt.Errorf("the runtime did not report how the command ended: %q", said)
	}
	if status.Status == "Success" {
		return 0, nil
	}
	for _, cause := range status.Details.Causes {
		if code, err := strconv.Atoi(cause.Message); err == nil && cause.Reason == "ExitCode" {
			return code, nil
		}
	}
	return 0, errors.New(status.Message)
}

func (s *streams) close() {
	_ = s.connection.Close()
	for _, each := range []*spdystream.Stream{s.input, s.output, s.errors, s.end, s.resize} {
		if each != nil {
			_ = each.Reset()
		}
	}
}

// upgrade makes a connection with an HTTP server one of SPDY.
func upgrade(ctx context.Context, raw net.Conn, place *url.URL) (net.Conn, error) {
	header := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"SPDY/3.1"}, "X-Stream-Protocol-Version": {protocolVersion},
	}
	asked := &http.Request{Method: http.MethodPost, URL: place, Host: place.Host, Header: header}
	return upgraded(ctx, raw, asked)
}

// upgraded returns the connection after the server has agreed, with the bytes that came early. The context ends the wait for a server
// that says nothing.
func upgraded(ctx context.Context, raw net.Conn, asked *http.Request) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if err := asked.Write(raw); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(raw)
	answer, err := http.ReadResponse(reader, asked)
	if err != nil {
		return nil, err
	}
	// Docker may answer 200 with this content type, and means the same.
	if answer.StatusCode != http.StatusSwitchingProtocols && answer.Header.Get("Content-Type") != rawStream {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, maxReply))
		return nil, &refusal{answer.StatusCode, fmt.Sprintf("%s: %s", answer.Status, bytes.TrimSpace(said))}
	}
	return &readAhead{raw, reader}, nil
}

// rawStream is Docker's content type of a connection that is no HTTP any more.
const rawStream = "application/vnd.docker.raw-stream"

type readAhead struct {
	net.Conn
	reader *bufio.Reader
}

// CloseWrite ends what the other side reads.
func (c *readAhead) CloseWrite() error {
	if half, is := c.Conn.(interface{ CloseWrite() error }); is {
		return half.CloseWrite()
	}
	return nil
}

func (c *readAhead) Read(to []byte) (int, error) { return c.reader.Read(to) }

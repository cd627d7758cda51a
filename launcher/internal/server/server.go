// Package server speaks the wire protocol on the Unix socket. The connection that said hello last is the agent; it alone is obeyed.
package server

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"shellcron.dev/launcher/internal/clock"
	"shellcron.dev/launcher/internal/crash"
	"shellcron.dev/launcher/internal/supervise"
	"shellcron.dev/launcher/internal/wire"
)

const (
	// implementation names this launcher in its hello.
	implementation = "native"
	// replaceWithin is how long a newer agent waits until all that an older one sent is obeyed.
	replaceWithin = time.Second
	closeWithin   = time.Second
	acceptRetry   = 10 * time.Millisecond
)

// Server holds the connections.
type Server struct {
	supervisor *supervise.Supervisor
	listener   *net.UnixListener
	// folder's descriptor may be part of the listener's path.
	folder          *os.File
	instance, build string

	// installing lets one newer agent in after the other.
	installing sync.Mutex

	mu          sync.Mutex
	connections map[*connection]bool
}

// Listen makes the socket. `instance` and `build` are told in hello.
func Listen(stateDir string, supervisor *supervise.Supervisor, instance, build string) (*Server, error) {
	listener, folder, err := listen(stateDir)
	if err != nil {
		return nil, err
	}
	return &Server{
		supervisor: supervisor, listener: listener, folder: folder, instance: instance, build: build,
		connections: map[*connection]bool{},
	}, nil
}

// Work accepts connections until Close.
func (s *Server) Work() {
	for {
		socket, err := s.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(acceptRetry)
			continue
		}
		c := newConnection(socket, s.supervisor.HoldFor)
		s.mu.Lock()
		s.connections[c] = true
		s.mu.Unlock()
		crash.Go(c.write)
		crash.Go(func() { s.serve(c) })
	}
}

// Close ends the connections when all that was sent has left.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	timeout := time.After(closeWithin)
	for c := range s.connections {
		c.end()
	}
	for c := range s.connections {
		select {
		case <-c.closed:
		case <-timeout:
			return
		}
	}
}

func (s *Server) serve(c *connection) {
	s.receive(c)
	close(c.drained)
	if c.isBeingReplaced() {
		// The newer agent's connection ends this one.
		return
	}
	s.supervisor.Disconnect(c)
	s.drop(c)
}

// receive obeys messages until the connection ends.
func (s *Server) receive(c *connection) {
	reader := bufio.NewReaderSize(c.socket, 4096)
	for {
		frame, err := wire.Read(reader)
		var said wire.Message
		if err == nil {
			err = json.Unmarshal(frame, &said)
		}
		// A field of another type than it should have is left out.
		var wrongType *json.UnmarshalTypeError
		if err != nil && !errors.As(err, &wrongType) {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				slog.Warn("agent.malformed", "error", err)
			}
			return
		}
		s.take(c, said)
	}
}

// drop ends a connection when all that was sent on it has left.
func (s *Server) drop(c *connection) {
	s.mu.Lock()
	delete(s.connections, c)
	s.mu.Unlock()
	c.end()
}

func (s *Server) take(c *connection, said wire.Message) {
	agent := s.agent()
	if said.Type != "hello" {
		if agent == c {
			s.obey(c, said)
		}
		return
	}
	if agent != c {
		s.installing.Lock()
		defer s.installing.Unlock()
		if agent = s.agent(); agent != nil {
			agent.replace(replaceWithin)
		}
	}
	s.install(c)
}

func (s *Server) agent() *connection {
	c, _ := s.supervisor.Agent().(*connection)
	return c
}

func (s *Server) install(c *connection) {
	older, _ := s.supervisor.Connect(c, s.hello).(*connection)
	if older != nil && older != c {
		older.Send(wire.Event{Type: "replaced"})
		s.drop(older)
	}
}

func (s *Server) hello() wire.Hello {
	return wire.Hello{
		Type: "hello", Version: wire.Version, Implementation: implementation, Instance: s.instance, Pid: os.Getpid(),
		Boottime: clock.BoottimeMs(), Features: s.supervisor.Features(), Build: s.build,
	}
}

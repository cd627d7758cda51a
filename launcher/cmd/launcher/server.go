package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// What an older agent had said before a newer one came is obeyed first, if that takes no longer.
const replaceWithin = time.Second

// server holds the connections. The one that said hello last is the agent; it alone is obeyed and told.
type server struct {
	supervisor *supervisor
	listener   *net.UnixListener
	// folder's descriptor is part of the listener's path.
	folder          *os.File
	instance, build string

	// installing: one newer connection after the other.
	installing sync.Mutex

	mu          sync.Mutex
	connections map[*connection]bool
	// acting is guarded by the supervisor's lock: what is told and who is told change together.
	acting *connection
}

func (s *server) work() {
	for {
		socket, err := s.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		c := newConnection(socket, s.supervisor.starter.holdFor)
		s.mu.Lock()
		s.connections[c] = true
		s.mu.Unlock()
		guard(c.write)
		guard(func() { s.serve(c) })
	}
}

func (s *server) serve(c *connection) {
	reader := bufio.NewReaderSize(c.socket, 4096)
	for {
		frame, err := readFrame(reader)
		var said message
		if err == nil {
			err = json.Unmarshal(frame, &said)
		}
		var misfit *json.UnmarshalTypeError
		if err != nil && !errors.As(err, &misfit) {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				logEvent(levelWarn, "agent.malformed", fields{"error": err})
			}
			break
		}
		s.take(c, said)
	}
	close(c.heard)
	c.mu.Lock()
	isReplaced := c.isReplaced
	c.mu.Unlock()
	if isReplaced {
		return
	}
	s.supervisor.mu.Lock()
	if s.acting == c {
		s.acting = nil
	}
	s.supervisor.mu.Unlock()
	s.forget(c)
}

// forget ends a connection when all that was told on it has left.
func (s *server) forget(c *connection) {
	s.mu.Lock()
	delete(s.connections, c)
	s.mu.Unlock()
	c.end()
}

func (s *server) take(c *connection, said message) {
	acting := s.actor()
	if said.Type != "hello" {
		if acting == c {
			s.obey(c, said)
		}
		return
	}
	if acting != c {
		s.installing.Lock()
		defer s.installing.Unlock()
		if acting = s.actor(); acting != nil {
			acting.replace(replaceWithin)
		}
	}
	s.install(c)
}

func (s *server) actor() *connection {
	s.supervisor.mu.Lock()
	defer s.supervisor.mu.Unlock()
	return s.acting
}

func (s *server) install(c *connection) {
	s.supervisor.mu.Lock()
	defer s.supervisor.mu.Unlock()
	if older := s.acting; older != nil && older != c {
		s.say(event{Type: "replaced"})
		s.forget(older)
	}
	s.acting = c
	features := []string{"tty", "rusage", "notes"}
	if s.supervisor.machine.cgroups.canLimit() {
		features = append(features, "resources", "oom")
	}
	s.say(helloMessage{"hello", protocolVersion, "native", s.instance, os.Getpid(), boottimeMs(), features, s.build})
	for _, e := range s.supervisor.inOrder() {
		s.say(e.latest())
	}
}

func (s *server) obey(c *connection, said message) {
	switch said.Type {
	case "arm":
		s.supervisor.arm(said.Runs)
	case "cancel":
		s.supervisor.cancel(said.IDs)
	case "kill":
		reason := "Killed"
		if said.Reason != nil {
			reason = *said.Reason
		}
		s.supervisor.kill(said.IDs, reason)
	case "fence":
		s.supervisor.fence(said.Session, said.Until)
	case "runs":
		s.sendRuns(said.Seq)
	case "forget":
		s.supervisor.forget(said.IDs)
	case "read":
		guard(func() { s.read(c, said) })
	case "stop":
		s.supervisor.stop(said.WhenIdle == nil || *said.WhenIdle)
	}
}

// tell is called with the supervisor's lock held, as say is.
func (s *server) tell(value any) { s.send(value, (*connection).tell) }

// say is for what is no event of a run: nothing is gained by holding it.
func (s *server) say(value any) { s.send(value, (*connection).say) }

func (s *server) send(value any, by func(*connection, []byte)) {
	if s.acting == nil {
		return
	}
	frame, err := encodeFrame(value)
	if err != nil {
		logEvent(levelError, "event.unsendable", fields{"error": err})
		return
	}
	by(s.acting, frame)
}

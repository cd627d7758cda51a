package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// A list travels in parts that fit a frame.
const runsPartBytes = 4 << 20

// What an older agent had said before a newer one came is obeyed first, if that takes no longer.
const replaceWithin = time.Second

// server holds the connections. The one that said hello last is the agent; it alone is obeyed and told.
type server struct {
	supervisor *supervisor
	listener   *net.UnixListener
	instance   string

	// installing: one newer connection after the other.
	installing sync.Mutex

	mu          sync.Mutex
	connections map[*connection]bool
	// acting is guarded by the supervisor's lock: what is told and who is told change together.
	acting *connection
}

// listen makes the socket, which only its owner may open. A file left by a launcher that died is replaced.
func listen(stateDir string, s *supervisor, instance string) (*server, error) {
	if answers(stateDir) {
		return nil, fmt.Errorf("another launcher listens on %s/launcher.sock", stateDir)
	}
	// The descriptor stays open for the listener's close.
	folder, path, err := socketPath(stateDir)
	if err != nil {
		return nil, err
	}
	_ = os.Remove(filepath.Join(stateDir, "launcher.sock"))
	mask := syscall.Umask(0o177)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(mask)
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	server := &server{supervisor: s, listener: listener, instance: instance, connections: map[*connection]bool{}}
	s.tell = server.tell
	return server, nil
}

// socketPath leads through the folder's descriptor: that of a deep folder would be longer than a socket's may be.
func socketPath(stateDir string) (*os.File, string, error) {
	folder, err := os.Open(stateDir)
	if err != nil {
		return nil, "", err
	}
	return folder, fmt.Sprintf("/proc/self/fd/%d/launcher.sock", folder.Fd()), nil
}

// answers: whether a launcher listens.
func answers(stateDir string) bool {
	folder, path, err := socketPath(stateDir)
	if err != nil {
		return false
	}
	defer folder.Close()
	probe, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	_ = probe.Close()
	return true
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
		c := newConnection(socket)
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
		s.tell(event{Type: "replaced"})
		s.forget(older)
	}
	s.acting = c
	features := []string{"tty", "rusage"}
	if s.supervisor.machine.cgroups.canLimit() {
		features = append(features, "resources", "oom")
	}
	s.tell(helloMessage{"hello", protocolVersion, "native", s.instance, os.Getpid(), boottimeMs(), features})
	for _, e := range s.supervisor.inOrder() {
		s.tell(e.latest())
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

func (s *server) sendRuns(seq float64) {
	s.supervisor.mu.Lock()
	defer s.supervisor.mu.Unlock()
	part, size := []json.RawMessage{}, 0
	for _, e := range s.supervisor.inOrder() {
		encoded, err := json.Marshal(e.info())
		if err != nil {
			panic(err)
		}
		if size += len(encoded); size > runsPartBytes && len(part) > 0 {
			s.tell(runsAnswer{"runs", seq, part, true})
			part, size = []json.RawMessage{}, len(encoded)
		}
		part = append(part, encoded)
	}
	s.tell(runsAnswer{"runs", seq, part, false})
}

func (s *server) read(c *connection, said message) {
	answer, err := s.supervisor.answerRead(said)
	if err != nil {
		logEvent(levelError, "spool.unreadable", fields{"run": said.ID, "error": err})
		_ = c.socket.Close()
		return
	}
	if frame, err := encodeFrame(answer); err == nil {
		c.send(frame)
	}
}

// tell is called with the supervisor's lock held.
func (s *server) tell(value any) {
	if s.acting == nil {
		return
	}
	frame, err := encodeFrame(value)
	if err != nil {
		logEvent(levelError, "event.unsendable", fields{"error": err})
		return
	}
	s.acting.send(frame)
}

// close lets everything that was told reach the agent before the connections end.
func (s *server) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	patience := time.After(time.Second)
	for c := range s.connections {
		c.end()
	}
	for c := range s.connections {
		select {
		case <-c.closed:
		case <-patience:
			return
		}
	}
}

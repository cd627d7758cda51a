package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// listen makes the socket, which only its owner may open. A file left by a launcher that died is replaced.
func listen(stateDir string, s *supervisor) (*server, error) {
	if answers(stateDir) {
		return nil, fmt.Errorf("another launcher listens on %s/launcher.sock", stateDir)
	}
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
	server := &server{supervisor: s, listener: listener, folder: folder, connections: map[*connection]bool{}}
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

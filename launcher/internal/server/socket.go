package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

const socketName = "launcher.sock"

// listen makes the socket, which only its owner may open. It replaces the file of a launcher that has died.
func listen(stateDir string) (*net.UnixListener, *os.File, error) {
	if Answers(stateDir) {
		return nil, nil, fmt.Errorf("another launcher listens on %s/%s", stateDir, socketName)
	}
	folder, path, err := socketPath(stateDir)
	if err != nil {
		return nil, nil, err
	}
	_ = os.Remove(filepath.Join(stateDir, socketName))
	listener, err := listenPrivately(path)
	if err != nil {
		return nil, nil, errors.Join(err, folder.Close())
	}
	return listener, folder, nil
}

// Answers says whether a launcher listens in a state directory.
func Answers(stateDir string) bool {
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

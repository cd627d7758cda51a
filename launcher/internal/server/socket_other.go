//go:build !linux

package server

import (
	"os"
	"path/filepath"
)

// socketPath is limited to about 100 bytes, the longest path of a Unix socket.
func socketPath(stateDir string) (*os.File, string, error) {
	folder, err := os.Open(stateDir)
	return folder, filepath.Join(stateDir, socketName), err
}

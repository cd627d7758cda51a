package server

import (
	"fmt"
	"os"
)

// socketPath goes through the folder's descriptor: the path of a deep folder would be longer than a socket's may be.
func socketPath(stateDir string) (*os.File, string, error) {
	folder, err := os.Open(stateDir)
	if err != nil {
		return nil, "", err
	}
	return folder, fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), socketName), nil
}

//go:build unix

package server

import (
	"net"
	"syscall"
)

func listenPrivately(path string) (*net.UnixListener, error) {
	mask := syscall.Umask(0o177)
	defer syscall.Umask(mask)
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

package server

import "net"

// listenPrivately uses the Unix sockets that Windows has since version 10. A socket there has the access rights of its folder.
func listenPrivately(path string) (*net.UnixListener, error) {
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

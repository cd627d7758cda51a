package main

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// stdio is a command's three streams: its own ends and ours.
type stdio struct {
	child          [3]int
	stdout, stderr int // -1: there is none
	// input is what did not fit at once, and where it goes.
	input *os.File
	rest  []byte
	isTTY bool
}

// openPipes makes two pipes and, if there is something to be read from it, one for stdin. `devNull` is read otherwise.
func openPipes(order *arm, who *identity, devNull int) (*stdio, error) {
	io := &stdio{child: [3]int{-1, -1, -1}, stdout: -1, stderr: -1}
	var err error
	if io.stdout, io.child[1], err = pipeToUs(who); err == nil {
		io.stderr, io.child[2], err = pipeToUs(who)
	}
	if err == nil && order.stdin == nil {
		io.child[0], err = unix.FcntlInt(uintptr(devNull), unix.F_DUPFD_CLOEXEC, 3)
	} else if err == nil {
		err = io.openInput(order.stdin, who)
	}
	if err != nil {
		io.close()
		return nil, os.NewSyscallError("pipe", err)
	}
	return io, nil
}

// pipeToUs returns our end, which does not block, and the command's, which its user may open again as /dev/stdout.
func pipeToUs(who *identity) (reader, writer int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, err
	}
	err = unix.SetNonblock(ends[0], true)
	if credential := who.credential(); err == nil && credential != nil {
		err = unix.Fchown(ends[1], int(credential.Uid), int(credential.Gid))
	}
	return ends[0], ends[1], err
}

// openInput fills the pipe before anybody runs; what does not fit waits for a reader.
func (io *stdio) openInput(data []byte, who *identity) error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	io.child[0] = ends[0]
	if credential := who.credential(); credential != nil {
		_ = unix.Fchown(ends[0], int(credential.Uid), int(credential.Gid))
	}
	if err := unix.SetNonblock(ends[1], true); err != nil {
		return errors.Join(err, unix.Close(ends[1]))
	}
	n, err := unix.Write(ends[1], data)
	if err == nil && n == len(data) {
		return unix.Close(ends[1])
	}
	io.input, io.rest = os.NewFile(uintptr(ends[1]), "stdin"), data[max(n, 0):]
	return nil
}

// endOfFile is what a terminal takes for the end of its input, at the beginning of a line.
const endOfFile = "\x04"

// openTerminal makes a pseudo-terminal of the size that is asked for. Nobody types there: what is given as stdin is not echoed,
// and then the input ends.
func openTerminal(order *arm, who *identity) (*stdio, error) {
	io := &stdio{child: [3]int{-1, -1, -1}, stdout: -1, stderr: -1, isTTY: true}
	err := io.openPair(order.tty)
	if credential := who.credential(); err == nil && credential != nil {
		err = unix.Fchown(io.child[0], int(credential.Uid), -1)
	}
	var writer int
	if err == nil {
		writer, err = unix.FcntlInt(uintptr(io.stdout), unix.F_DUPFD_CLOEXEC, 3)
	}
	if err != nil {
		io.close()
		return nil, os.NewSyscallError("pty", err)
	}
	io.rest = append(append([]byte{}, order.stdin...), endOfFile...)
	if n := len(order.stdin); n > 0 && order.stdin[n-1] != '\n' {
		io.rest = append(io.rest, endOfFile...)
	}
	io.input = os.NewFile(uintptr(writer), "terminal")
	return io, nil
}

func (io *stdio) openPair(size *windowSize) error {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	io.stdout = master
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return err
	}
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return err
	}
	path := "/dev/pts/" + strconv.Itoa(number)
	slave, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	io.child = [3]int{slave, slave, slave}
	if err := unix.IoctlSetWinsize(slave, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Columns}); err != nil {
		return err
	}
	settings, err := unix.IoctlGetTermios(slave, unix.TCGETS)
	if err != nil {
		return err
	}
	settings.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(slave, unix.TCSETS, settings)
}

// feed writes what is left of the input, until the command takes no more or `input` is closed.
func (io *stdio) feed() {
	_, _ = io.input.Write(io.rest)
	if !io.isTTY {
		_ = io.input.Close()
	}
}

// closeChild closes the command's ends, which it has now.
func (io *stdio) closeChild() {
	for n, fd := range io.child {
		if fd >= 0 && (n == 0 || !io.isTTY) {
			_ = unix.Close(fd)
		}
		io.child[n] = -1
	}
}

// close is for what has not started.
func (io *stdio) close() {
	io.closeChild()
	for _, fd := range []int{io.stdout, io.stderr} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	if io.input != nil {
		_ = io.input.Close()
	}
}

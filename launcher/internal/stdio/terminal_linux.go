package stdio

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/wire"
)

// endOfFile, at the beginning of a line, ends a terminal's input.
const endOfFile = "\x04"

// openTerminal makes a pseudo-terminal. Nobody types at it: stdin is sent unechoed, then the input ends.
func (s *Streams) openTerminal(with Options, _ int) error {
	if err := s.openPair(with.TTY); err != nil {
		return err
	}
	if with.UID >= 0 {
		if err := unix.Fchown(s.child[0], with.UID, -1); err != nil {
			return err
		}
	}
	writer, err := unix.FcntlInt(uintptr(s.stdout), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return err
	}
	s.rest = append(append([]byte{}, with.Stdin...), endOfFile...)
	if n := len(with.Stdin); n > 0 && with.Stdin[n-1] != '\n' {
		s.rest = append(s.rest, endOfFile...)
	}
	s.input = os.NewFile(uintptr(writer), "terminal")
	return nil
}

// openPair opens both ends as raw descriptors. A library as creack/pty returns files of the Go runtime, with a blocking master: the
// collector needs a descriptor that does not block, for its epoll.
func (s *Streams) openPair(size *wire.WindowSize) error {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	s.stdout = master
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
	s.child = [3]int{slave, slave, slave}
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

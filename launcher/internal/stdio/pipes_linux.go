// Package stdio makes a command's three streams, and writes what the command writes into its spool.
package stdio

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/wire"
)

// Options say which streams a command gets.
type Options struct {
	// Stdin is what the command reads; nil is /dev/null.
	Stdin []byte
	// TTY is the size of a terminal in place of the pipes.
	TTY *wire.WindowSize
	// UID and GID may open the command's ends again, as /dev/stdout. -1 is the launcher's own.
	UID, GID int
}

// Streams are the command's ends and the launcher's. They are plain descriptors: a file of the Go runtime for each would cost a
// goroutine and a poll entry for each run.
type Streams struct {
	child          [3]int
	stdout, stderr int // -1: none
	// input is where the rest of stdin goes that did not fit the pipe at once.
	input *os.File
	rest  []byte
	isTTY bool
}

// Open makes the streams. `devNull` serves as stdin where there is none.
func Open(with Options, devNull int) (*Streams, error) {
	s := &Streams{child: [3]int{-1, -1, -1}, stdout: -1, stderr: -1, isTTY: with.TTY != nil}
	open, what := s.openPipes, "pipe"
	if s.isTTY {
		open, what = s.openTerminal, "pty"
	}
	if err := open(with, devNull); err != nil {
		s.Close()
		return nil, os.NewSyscallError(what, err)
	}
	return s, nil
}

// ChildFiles are the command's three descriptors.
func (s *Streams) ChildFiles() []uintptr {
	return []uintptr{uintptr(s.child[0]), uintptr(s.child[1]), uintptr(s.child[2])}
}

// IsTTY says whether the streams are a terminal.
func (s *Streams) IsTTY() bool { return s.isTTY }

// HasInput says whether Feed has something to write.
func (s *Streams) HasInput() bool { return s.input != nil }

// Feed writes the rest of stdin, until the command closes it or CloseInput is called.
func (s *Streams) Feed() {
	_, _ = s.input.Write(s.rest)
	if !s.isTTY {
		_ = s.input.Close()
	}
}

// CloseInput ends Feed.
func (s *Streams) CloseInput() {
	if s.input != nil {
		_ = s.input.Close()
	}
}

// CloseChild closes the command's ends, which it has inherited.
func (s *Streams) CloseChild() {
	for n, fd := range s.child {
		// The three of a terminal are one.
		if fd >= 0 && (n == 0 || !s.isTTY) {
			_ = unix.Close(fd)
		}
		s.child[n] = -1
	}
}

// Close is for a command that did not start.
func (s *Streams) Close() {
	s.CloseChild()
	for _, fd := range []int{s.stdout, s.stderr} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	s.CloseInput()
}

func (s *Streams) openPipes(with Options, devNull int) (err error) {
	if s.stdout, s.child[1], err = outputPipe(with); err == nil {
		s.stderr, s.child[2], err = outputPipe(with)
	}
	if err == nil && with.Stdin == nil {
		s.child[0], err = unix.FcntlInt(uintptr(devNull), unix.F_DUPFD_CLOEXEC, 3)
	} else if err == nil {
		err = s.openInput(with)
	}
	return err
}

// outputPipe returns the launcher's end, which does not block, and the command's.
func outputPipe(with Options) (reader, writer int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, err
	}
	err = unix.SetNonblock(ends[0], true)
	if err == nil && with.UID >= 0 {
		err = unix.Fchown(ends[1], with.UID, with.GID)
	}
	return ends[0], ends[1], err
}

// openInput fills the pipe before the start. What does not fit waits for Feed.
func (s *Streams) openInput(with Options) error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	s.child[0] = ends[0]
	if with.UID >= 0 {
		_ = unix.Fchown(ends[0], with.UID, with.GID)
	}
	if err := unix.SetNonblock(ends[1], true); err != nil {
		return errors.Join(err, unix.Close(ends[1]))
	}
	n, err := unix.Write(ends[1], with.Stdin)
	if err == nil && n == len(with.Stdin) {
		return unix.Close(ends[1])
	}
	s.input, s.rest = os.NewFile(uintptr(ends[1]), "stdin"), with.Stdin[max(n, 0):]
	return nil
}

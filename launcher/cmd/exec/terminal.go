//go:build linux

package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/wire"
)

// endOfFile, at the beginning of a line, ends a terminal's input.
const endOfFile = "\x04"

// terminal belongs to a process in a container. It is opened through the process's own descriptor, and needs nothing in the container.
type terminal struct {
	file     *os.File
	settings unix.Termios
}

// openTerminal turns off the echo, as on the launcher's terminals: nobody types there. Until `settle`, the terminal passes all bytes as
// they are.
func openTerminal(of process, size *wire.WindowSize) (*terminal, error) {
	path := "/proc/" + strconv.Itoa(of.pid) + "/fd/0"
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t := &terminal{file: file}
	fd := int(file.Fd())
	window := &unix.Winsize{Row: size.Rows, Col: size.Columns}
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err == nil {
		t.settings = *settings
		t.settings.Lflag &^= unix.ECHO
		settings.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG | unix.IEXTEN
		settings.Iflag &^= unix.ICRNL | unix.INLCR | unix.IGNCR | unix.ISTRIP | unix.IXON
		settings.Cc[unix.VMIN], settings.Cc[unix.VTIME] = 1, 0
		err = unix.IoctlSetTermios(fd, unix.TCSETS, settings)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, window)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return t, nil
}

// settle is called when the shell has read its instructions.
func (t *terminal) settle() error {
	err := unix.IoctlSetTermios(int(t.file.Fd()), unix.TCSETS, &t.settings)
	_ = t.file.Close()
	return err
}

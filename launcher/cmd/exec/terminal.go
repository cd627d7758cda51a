package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// endOfFile is what a terminal takes for the end of its input, at the beginning of a line.
const endOfFile = "\x04"

// terminal is that of a process in a container, opened through its own descriptor: nothing in the container is needed for it.
type terminal struct {
	file     *os.File
	settings unix.Termios
}

// openTerminal makes a command's terminal one that nobody types on, as the launcher's are: unechoed. Until `settle` it takes any bytes as
// they are.
func openTerminal(of process, size *windowSize) (*terminal, error) {
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

// settle is called when all has been read from it that is ours.
func (t *terminal) settle() error {
	err := unix.IoctlSetTermios(int(t.file.Fd()), unix.TCSETS, &t.settings)
	_ = t.file.Close()
	return err
}

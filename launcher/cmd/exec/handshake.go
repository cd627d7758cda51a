//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// handshake is the exchange with the container's shell before the command runs.
func (c *command) handshake() error {
	said, err := c.reply()
	if err != nil {
		return fmt.Errorf("%w: %w", errNoShell, err)
	}
	inner, err := strconv.Atoi(said)
	if err != nil {
		return fmt.Errorf("the container's shell said %q", said)
	}
	if err := c.confine(inner); err != nil {
		return err
	}
	if _, err := io.WriteString(c.session.stdin(), payload(c.asked, c.token)); err != nil {
		return err
	}
	if said, err = c.reply(); err == nil && said != saysRead {
		err = fmt.Errorf("it said %q", said)
	}
	if err != nil {
		return fmt.Errorf("the shell of container %s did not read its command: %w", c.container.name, err)
	}
	goOn := "\n"
	if c.terminal != nil {
		if err := c.terminal.settle(); err != nil {
			return err
		}
		goOn += endOfFile
	}
	if _, err := io.WriteString(c.session.stdin(), goOn); err != nil {
		return err
	}
	switch said, err = c.reply(); said {
	case saysGo:
		return nil
	case saysNoDirectory:
		return failed(noSuchDirectory, "%s is no directory in container %s that its user may enter", c.asked.WorkingDir, c.container.name)
	case saysNoShell:
		return failed(noSuchShell, "there is no program %s in container %s", c.asked.Shell[0], c.container.name)
	}
	if err == nil {
		err = fmt.Errorf("it said %q", said)
	}
	return fmt.Errorf("the shell of container %s did not run its command: %w", c.container.name, err)
}

// reply is the next line of the shell that begins with the token, without it. Other lines, as of a profile, are skipped.
func (c *command) reply() (string, error) {
	for heard := 0; heard < maxReply; {
		// Bounded by the buffer: the image's /bin/sh may be anything.
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return "", errors.Join(errSilent, err)
		}
		if said, found := strings.CutPrefix(strings.TrimRight(string(line), "\r\n"), c.token+" "); found {
			return said, nil
		}
		heard += len(line)
	}
	return "", errSilent
}

var (
	errSilent = errors.New("the shell did not answer")
	// errNoShell: not even the first reply came.
	errNoShell = errors.New("no shell that works")
)

// explain says why a shell did not run its command.
func (c *command) explain(err error) error {
	var known *failure
	if errors.As(err, &known) {
		return err
	}
	code, ended := c.session.wait()
	if !c.init.isAlive() {
		return failed(containerGone, "container %s ended before the command began", c.container.name)
	}
	if errors.Is(err, errNoShell) {
		why := "exit code " + strconv.Itoa(code)
		if ended != nil {
			why = ended.Error()
		}
		return failed(noSuchShell, "container %s has no /bin/sh that works: %s", c.container.name, why)
	}
	return err
}

package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// converse is all that is said before the command runs.
func (c *command) converse() error {
	said, err := c.hear()
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
	if _, err := io.WriteString(c.session.stdin(), payload(c.asked, c.word)); err != nil {
		return err
	}
	if said, err = c.hear(); err == nil && said != saysRead {
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
	switch said, err = c.hear(); said {
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

// hear is the next thing that the shell says after its word; what a profile may say before is no answer.
func (c *command) hear() (string, error) {
	for heard := 0; heard < longestWord; {
		// No more than the buffer holds: whoever made the image says what its /bin/sh is.
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return "", errors.Join(errSilent, err)
		}
		if said, found := strings.CutPrefix(strings.TrimRight(string(line), "\r\n"), c.word+" "); found {
			return said, nil
		}
		heard += len(line)
	}
	return "", errSilent
}

var (
	errSilent = errors.New("the shell did not answer")
	// errNoShell: it never said a word.
	errNoShell = errors.New("no shell that works")
)

// explain is why a shell did not come to run its command.
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

package main

import (
	"cmp"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// endWithin is what a runtime may take to tell of an end that we saw.
const endWithin = 10 * time.Second

// follow copies the output until the command has ended, and with it whatever it left behind.
func (c *command) follow(copied <-chan error) (int, error) {
	over := make(chan struct{})
	defer close(over)
	go func() {
		c.shell.wait()
		c.killRest()
		c.letGo(over)
	}()
	_, err := io.Copy(c.taking(c.stdout), c.reader)
	err = cmp.Or(err, <-copied)
	if c.isLetGo.Load() {
		err = fmt.Errorf("the runtime did not end it within %v of the command's end", endWithin)
	}
	if err != nil {
		c.missing = fmt.Sprintf("output may be missing: %v", err)
	}
	// How it ended is told apart from what it wrote.
	return c.session.wait()
}

func (c *command) copyErrors() <-chan error {
	done := make(chan error, 1)
	from := c.session.stderr()
	if from == nil {
		done <- nil
		return done
	}
	go func() {
		_, err := io.Copy(c.taking(c.stderr), from)
		done <- err
	}()
	return done
}

// letGo closes a session that its runtime does not end. What counts is for how long we wait for the runtime, and not for who takes the
// output: a disk may be slow.
func (c *command) letGo(over <-chan struct{}) {
	const step = 100 * time.Millisecond
	for waited := time.Duration(0); waited < endWithin; {
		select {
		case <-over:
			return
		case <-time.After(step):
		}
		if c.takers.Load() == 0 {
			waited += step
		}
	}
	c.isLetGo.Store(true)
	c.session.close()
}

// killRest is for who the command has left behind: they may hold its output open.
func (c *command) killRest() {
	for _, group := range c.confined.paths() {
		killGroup(group)
	}
}

func (c *command) taking(to io.Writer) io.Writer { return taker{to, &c.takers} }

// taker counts who waits until his output is taken.
type taker struct {
	to      io.Writer
	waiting *atomic.Int32
}

func (t taker) Write(data []byte) (int, error) {
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	return t.to.Write(data)
}

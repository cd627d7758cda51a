//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

const (
	// endWithin is how long a runtime may take to report an end that has happened.
	endWithin = 10 * time.Second
	// leftWithin is the same if processes go on: they may hold the output open.
	leftWithin = time.Second
)

// follow copies the output until the command and all processes that it left behind have ended.
func (c *command) follow(copied <-chan error) (int, error) {
	over, settled := make(chan struct{}), make(chan struct{})
	defer close(over)
	if c.asked.sendsScript() {
		go c.sendScript()
	}
	go func() {
		c.shell.wait()
		// What the command left behind may hold its output open.
		c.settleLeftovers()
		close(settled)
		c.abandonSession(over)
	}()
	_, err := io.Copy(c.counting(c.stdout), c.reader)
	err = cmp.Or(err, <-copied)
	if c.isAbandoned.Load() && c.confined.isLeft {
		err = nil
	} else if c.isAbandoned.Load() {
		err = fmt.Errorf("the runtime did not end it within %v of the command's end", endWithin)
	}
	if err != nil {
		c.missing = fmt.Sprintf("output may be missing: %v", err)
	}
	// The exit code does not depend on the output.
	code, err := c.session.wait()
	if !c.shell.isAlive() {
		<-settled
	}
	return code, err
}

// sendScript writes the script to the interpreter, which may end before it has read all.
func (c *command) sendScript() {
	_, _ = io.WriteString(c.session.stdin(), c.asked.Script)
	c.session.closeInput()
}

func (c *command) copyErrors() <-chan error {
	done := make(chan error, 1)
	from := c.session.stderr()
	if from == nil {
		done <- nil
		return done
	}
	go func() {
		_, err := io.Copy(c.counting(c.stderr), from)
		done <- err
	}()
	return done
}

// abandonSession closes a session that its runtime does not end. Time in which a write of output waits does not count: a disk may be
// slow.
func (c *command) abandonSession(over <-chan struct{}) {
	const step = 100 * time.Millisecond
	within := endWithin
	if c.confined.isLeft {
		within = leftWithin
	}
	for waited := time.Duration(0); waited < within; {
		select {
		case <-over:
			return
		case <-time.After(step):
		}
		if c.blockedWriters.Load() == 0 {
			waited += step
		}
	}
	c.isAbandoned.Store(true)
	c.session.close()
}

func (c *command) counting(to io.Writer) io.Writer { return countingWriter{to, &c.blockedWriters} }

// countingWriter counts the writes that have not returned.
type countingWriter struct {
	to      io.Writer
	waiting *atomic.Int32
}

func (w countingWriter) Write(data []byte) (int, error) {
	w.waiting.Add(1)
	defer w.waiting.Add(-1)
	return w.to.Write(data)
}

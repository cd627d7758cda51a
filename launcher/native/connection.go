package main

import (
	"net"
	"sync"
	"time"
)

// An agent that takes nothing (it hangs) is cut off; it gets all that counts when it connects again.
const maxUnsentBytes = 32 << 20

// While runs are due, what is told is gathered for so long: the agent works on whatever it is told, on the processors that the
// starts need.
const (
	gatherFor  = 100 * time.Millisecond
	gatherStep = 10 * time.Millisecond
)

// connection writes in a goroutine of its own, so that nobody waits for an agent: what is told meanwhile leaves in one write.
type connection struct {
	socket *net.UnixConn
	// isBusy: runs are due.
	isBusy func() bool
	// closed is closed when nothing more can be written.
	closed chan struct{}
	// heard is closed when all that came has been obeyed, and no more will come.
	heard chan struct{}

	mu       sync.Mutex
	more     sync.Cond
	unsent   []byte
	isEnding bool
	// isReplaced: by a newer connection, which ends it.
	isReplaced bool
}

func newConnection(socket *net.UnixConn, isBusy func() bool) *connection {
	c := &connection{socket: socket, isBusy: isBusy, closed: make(chan struct{}), heard: make(chan struct{})}
	c.more.L = &c.mu
	return c
}

// send takes the frame over.
func (c *connection) send(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isEnding {
		return
	}
	if c.unsent == nil {
		c.unsent = frame
	} else {
		c.unsent = append(c.unsent, frame...)
	}
	if len(c.unsent) > maxUnsentBytes {
		c.isEnding, c.unsent = true, nil
		_ = c.socket.Close()
	}
	c.more.Signal()
}

// replace lets what has come be obeyed, and no more: before a newer connection acts.
func (c *connection) replace(patience time.Duration) {
	c.mu.Lock()
	c.isReplaced = true
	c.mu.Unlock()
	_ = c.socket.CloseRead()
	select {
	case <-c.heard:
	case <-time.After(patience):
	}
}

// end closes the connection when all that was sent has left.
func (c *connection) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isEnding = true
	c.more.Signal()
}

// write sends until the end, and closes the socket.
func (c *connection) write() {
	defer close(c.closed)
	defer c.socket.Close()
	for {
		c.mu.Lock()
		for len(c.unsent) == 0 && !c.isEnding {
			c.more.Wait()
		}
		c.mu.Unlock()
		c.gather()
		c.mu.Lock()
		bytes := c.unsent
		c.unsent = nil
		c.mu.Unlock()
		if len(bytes) == 0 {
			return
		}
		if _, err := c.socket.Write(bytes); err != nil {
			c.mu.Lock()
			c.isEnding, c.unsent = true, nil
			c.mu.Unlock()
			return
		}
	}
}

func (c *connection) gather() {
	for since := time.Now(); c.isBusy() && time.Since(since) < gatherFor; {
		time.Sleep(gatherStep)
	}
}

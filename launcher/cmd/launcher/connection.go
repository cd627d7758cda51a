package main

import (
	"net"
	"sync"
	"time"
)

// An agent that takes nothing (it hangs) is cut off; it gets all that counts when it connects again.
const maxUnsentBytes = 32 << 20

const gatherStep = 10 * time.Millisecond

// connection writes in a goroutine of its own, so that nobody waits for an agent: what is told meanwhile leaves in one write.
type connection struct {
	socket *net.UnixConn
	// holdFor is how long what is told of runs may be held now.
	holdFor func() time.Duration
	// closed is closed when nothing more can be written.
	closed chan struct{}
	// heard is closed when all that came has been obeyed, and no more will come.
	heard chan struct{}

	mu   sync.Mutex
	more sync.Cond
	// unsent leaves now; held is told of runs, since then.
	unsent, held []byte
	heldSince    time.Time
	// told is how much was told and has not left. What was asked for is no sign of an agent that hangs.
	told     int
	isEnding bool
	// isReplaced: by a newer connection, which ends it.
	isReplaced bool
}

func newConnection(socket *net.UnixConn, holdFor func() time.Duration) *connection {
	c := &connection{socket: socket, holdFor: holdFor, closed: make(chan struct{}), heard: make(chan struct{})}
	c.more.L = &c.mu
	return c
}

// tell takes over a frame that says what became of a run.
func (c *connection) tell(frame []byte) {
	c.add(func() {
		if len(c.held) == 0 {
			c.heldSince = time.Now()
		}
		c.held = append(c.held, frame...)
		c.told += len(frame)
	})
}

// say takes over a frame that leaves now, behind all that was told.
func (c *connection) say(frame []byte) {
	c.add(func() {
		c.release()
		c.unsent = append(c.unsent, frame...)
	})
}

// answer takes over a frame that leaves now, and may overtake what was told: output, for which somebody waits.
func (c *connection) answer(frame []byte) {
	c.add(func() { c.unsent = append(c.unsent, frame...) })
}

func (c *connection) add(put func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isEnding {
		return
	}
	put()
	if c.told > maxUnsentBytes {
		c.isEnding, c.unsent, c.held = true, nil, nil
		_ = c.socket.Close()
	}
	c.more.Signal()
}

func (c *connection) release() {
	c.unsent, c.held = append(c.unsent, c.held...), nil
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
	for bytes := c.next(); bytes != nil; bytes = c.next() {
		if _, err := c.socket.Write(bytes); err != nil {
			c.mu.Lock()
			c.isEnding, c.unsent, c.held = true, nil, nil
			c.mu.Unlock()
			return
		}
	}
}

// next waits for what is to leave; nil: nothing more will.
func (c *connection) next() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.isEnding || len(c.held) > 0 && time.Since(c.heldSince) >= c.holdFor() {
			c.release()
		}
		if len(c.unsent) > 0 || c.isEnding {
			bytes := c.unsent
			c.unsent = nil
			c.told = len(c.held)
			return bytes
		}
		if len(c.held) == 0 {
			c.more.Wait()
			continue
		}
		c.mu.Unlock()
		time.Sleep(gatherStep)
		c.mu.Lock()
	}
}

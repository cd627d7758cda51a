package server

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"shellcron.dev/launcher/internal/wire"
)

// An agent that does not read, because it hangs, is cut off. It learns all that counts when it connects again.
const maxUnreadBytes = 32 << 20

const holdStep = 10 * time.Millisecond

// connection writes in a goroutine of its own, so that nothing waits for an agent. What is sent meanwhile leaves in one write.
type connection struct {
	socket *net.UnixConn
	// holdFor is how long events of runs may be held back now.
	holdFor func() time.Duration
	// closed is closed when nothing more can be written.
	closed chan struct{}
	// drained is closed when all that came has been obeyed, and nothing more will come.
	drained chan struct{}

	mu   sync.Mutex
	more sync.Cond
	// unsent leaves now. held are events of runs that are held back since heldSince.
	unsent, held []byte
	heldSince    time.Time
	// reported counts the events that have not left. Answers do not count: an agent asks for those.
	reported int
	isEnding bool
	// isReplaced: a newer connection is going to end this one.
	isReplaced bool
}

func newConnection(socket *net.UnixConn, holdFor func() time.Duration) *connection {
	c := &connection{socket: socket, holdFor: holdFor, closed: make(chan struct{}), drained: make(chan struct{})}
	c.more.L = &c.mu
	return c
}

// Report sends an event of a run. It may be held back.
func (c *connection) Report(event any) {
	if frame := encode(event); frame != nil {
		c.report(frame)
	}
}

// Send sends a message now, after the events that were held back.
func (c *connection) Send(message any) {
	if frame := encode(message); frame != nil {
		c.send(frame)
	}
}

func encode(message any) []byte {
	frame, err := wire.Encode(message)
	if err != nil {
		slog.Error("event.unsendable", "error", err)
		return nil
	}
	return frame
}

func (c *connection) report(frame []byte) {
	c.add(func() {
		if len(c.held) == 0 {
			c.heldSince = time.Now()
		}
		c.held = append(c.held, frame...)
		c.reported += len(frame)
	})
}

func (c *connection) send(frame []byte) {
	c.add(func() {
		c.release()
		c.unsent = append(c.unsent, frame...)
	})
}

// answer sends output now. It may overtake events: somebody waits for it.
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
	if c.reported > maxUnreadBytes {
		c.isEnding, c.unsent, c.held = true, nil, nil
		_ = c.socket.Close()
	}
	c.more.Signal()
}

func (c *connection) release() {
	c.unsent, c.held = append(c.unsent, c.held...), nil
}

// replace stops reading, and waits until all that came has been obeyed. A newer connection acts after that.
func (c *connection) replace(within time.Duration) {
	c.mu.Lock()
	c.isReplaced = true
	c.mu.Unlock()
	_ = c.socket.CloseRead()
	select {
	case <-c.drained:
	case <-time.After(within):
	}
}

func (c *connection) isBeingReplaced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isReplaced
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

// next waits for bytes that may leave; nil if nothing more will.
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
			c.reported = len(c.held)
			return bytes
		}
		if len(c.held) == 0 {
			c.more.Wait()
			continue
		}
		c.mu.Unlock()
		time.Sleep(holdStep)
		c.mu.Lock()
	}
}

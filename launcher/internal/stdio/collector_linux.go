package stdio

import (
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/spool"
)

// readBytes is the most that is read at once, into one buffer: a run that writes much must not keep the others waiting.
const readBytes = spool.MaxDataBytes

// Collector reads what all commands write, in one thread, and puts it into their spools. If the disk blocks, the commands wait.
type Collector struct {
	epoll int
	buffers
	// rest is for reading what is left in the pipes at the end of a run, one run at a time.
	rest struct {
		sync.Mutex
		buffers
	}

	mu      sync.Mutex
	streams map[int32]*stream
	last    int32
}

// buffers are for one read of a run's output. `second` is for stderr, if both streams are read at once.
type buffers struct{ first, second []byte }

func newBuffers() buffers {
	return buffers{make([]byte, spool.HeaderBytes+readBytes), make([]byte, spool.HeaderBytes+turnBytes)}
}

// stream is the launcher's end of a pipe. The output's lock guards it.
type stream struct {
	fd        int
	key       int32
	kind      byte
	output    *Output
	collector *Collector
}

// NewCollector returns a collector that needs Work.
func NewCollector() (*Collector, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	c := &Collector{epoll: epoll, buffers: newBuffers(), streams: map[int32]*stream{}}
	c.rest.buffers = newBuffers()
	return c, err
}

// Collect takes over the launcher's ends of the streams. `onMore` is called when something was written.
func (c *Collector) Collect(from *Streams, into *spool.Writer, onMore func()) *Output {
	out := &Output{Done: make(chan struct{}), spool: into, onMore: onMore, lastAt: time.Now()}
	out.streams = append(out.streams, &stream{fd: from.stdout, kind: spool.Stdout, output: out, collector: c})
	if from.stderr >= 0 {
		out.streams = append(out.streams, &stream{fd: from.stderr, kind: spool.Stderr, output: out, collector: c})
	}
	out.open = len(out.streams)
	out.mu.Lock()
	defer out.mu.Unlock()
	for _, each := range out.streams {
		c.mu.Lock()
		c.last++
		each.key = c.last
		c.streams[each.key] = each
		c.mu.Unlock()
		// The event has a key, not the descriptor: a late event of a closed descriptor must not reach the next one of that number.
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: each.key}
		if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, each.fd, &event); err != nil {
			slog.Error("output.unreadable", "error", err)
		}
	}
	return out
}

// Work reads until the process ends.
func (c *Collector) Work() {
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(c.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			panic(err)
		}
		for _, event := range events[:max(n, 0)] {
			c.mu.Lock()
			each := c.streams[event.Fd]
			c.mu.Unlock()
			if each != nil {
				each.read(c.buffers)
			}
		}
	}
}

// drop comes before a close: a terminal has a second descriptor, which would keep it in the epoll set.
func (c *Collector) drop(s *stream) {
	_ = unix.EpollCtl(c.epoll, unix.EPOLL_CTL_DEL, s.fd, nil)
	c.mu.Lock()
	delete(c.streams, s.key)
	c.mu.Unlock()
}

func (s *stream) read(into buffers) {
	out := s.output
	out.mu.Lock()
	defer out.mu.Unlock()
	if s.fd >= 0 && !out.readBoth(into) {
		s.readOnce(into.first)
	}
}

// readOnce returns 0 if nothing is there, or if the stream has ended and is closed now.
func (s *stream) readOnce(buffer []byte) int {
	n := s.take(buffer)
	if n > 0 {
		s.output.spool.Push(s.kind, buffer[:spool.HeaderBytes+n])
		s.output.onMore()
	}
	return n
}

// take reads, and leaves it to the caller to write that to the spool.
func (s *stream) take(buffer []byte) int {
	out := s.output
	n, err := unix.Read(s.fd, buffer[spool.HeaderBytes:])
	for err == unix.EINTR {
		n, err = unix.Read(s.fd, buffer[spool.HeaderBytes:])
	}
	if n > 0 {
		out.lastAt = time.Now()
	} else if err != unix.EAGAIN {
		// The end of a pipe, or EIO, the end of a terminal.
		out.closeStream(s)
	}
	return max(n, 0)
}

// holds is the most that the stream can hold unread.
func (s *stream) holds() int {
	size, err := unix.FcntlInt(uintptr(s.fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return readBytes // A terminal holds less.
	}
	return size
}

// readRest reads no more than a full pipe holds: a process that goes on writing is not waited for.
func (s *stream) readRest(buffer []byte) {
	if s.fd < 0 {
		return
	}
	left := s.holds()
	for n := 1; n > 0 && left > 0 && s.fd >= 0; left -= n {
		n = s.readOnce(buffer[:spool.HeaderBytes+min(left, readBytes)])
	}
}

package main

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// At most so much is read at once, into one buffer: a run that writes much does not keep the others waiting.
const readBytes = 64 << 10

// collector reads what all commands write, in one thread, and puts it into their spools. A disk that blocks makes the commands
// wait.
type collector struct {
	epoll  int
	buffer []byte
	// rest is for who takes what the thread has not read at a run's end: one at a time.
	rest struct {
		sync.Mutex
		buffer []byte
	}

	mu      sync.Mutex
	streams map[int32]*stream
	last    int32
}

// stream is our end of a pipe; its output's lock guards it.
type stream struct {
	fd        int
	key       int32
	kind      byte
	output    *output
	collector *collector
}

// output is what a run writes.
type output struct {
	// done is closed when nobody holds a pipe open any more, or `finish` was called.
	done chan struct{}

	mu      sync.Mutex
	streams []*stream
	open    int
	lastAt  time.Time
	spool   *spool
	onMore  func()
}

func newCollector() (*collector, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	c := &collector{epoll: epoll, buffer: make([]byte, chunkHeaderBytes+readBytes), streams: map[int32]*stream{}}
	c.rest.buffer = make([]byte, chunkHeaderBytes+readBytes)
	return c, err
}

// collect takes over both descriptors; the second may be -1. `onMore` is called when something was written.
func (c *collector) collect(spool *spool, stdout, stderr int, onMore func()) *output {
	out := &output{done: make(chan struct{}), spool: spool, onMore: onMore, lastAt: time.Now()}
	out.streams = append(out.streams, &stream{fd: stdout, kind: kindStdout, output: out, collector: c})
	if stderr >= 0 {
		out.streams = append(out.streams, &stream{fd: stderr, kind: kindStderr, output: out, collector: c})
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
		// The key, not the descriptor: an event of one that was closed must not be taken for its successor's.
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: each.key}
		if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, each.fd, &event); err != nil {
			logEvent(levelError, "output.unreadable", fields{"error": err})
		}
	}
	return out
}

// work reads until the process ends.
func (c *collector) work() {
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
				each.read(c.buffer)
			}
		}
	}
}

func (s *stream) read(buffer []byte) {
	s.output.mu.Lock()
	defer s.output.mu.Unlock()
	if s.fd >= 0 {
		s.take(buffer)
	}
}

// take reads once; 0: nothing lies there, or the stream has ended and is closed.
func (s *stream) take(buffer []byte) int {
	out := s.output
	n, err := unix.Read(s.fd, buffer[chunkHeaderBytes:])
	for err == unix.EINTR {
		n, err = unix.Read(s.fd, buffer[chunkHeaderBytes:])
	}
	if n > 0 {
		out.lastAt = time.Now()
		out.spool.push(s.kind, buffer[:chunkHeaderBytes+n])
		out.onMore()
	} else if err != unix.EAGAIN {
		// The end of a pipe; or EIO: that of a terminal.
		out.closeStream(s)
	}
	return max(n, 0)
}

// takeRest reads no more than lay there: who writes on is not waited for.
func (s *stream) takeRest(buffer []byte) {
	if s.fd < 0 {
		return
	}
	left, err := unix.FcntlInt(uintptr(s.fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		left = readBytes // A terminal; it holds less.
	}
	for n := 1; n > 0 && left > 0 && s.fd >= 0; left -= n {
		n = s.take(buffer[:chunkHeaderBytes+min(left, readBytes)])
	}
}

func (out *output) closeStream(s *stream) {
	if s.fd < 0 {
		return
	}
	s.collector.forget(s)
	_ = unix.Close(s.fd)
	s.fd = -1
	if out.open--; out.open == 0 {
		close(out.done)
	}
}

// isHeld: somebody could still write, though the command has ended.
func (out *output) isHeld() bool {
	out.mu.Lock()
	defer out.mu.Unlock()
	for _, each := range out.streams {
		if each.fd >= 0 {
			state := []unix.PollFd{{Fd: int32(each.fd)}}
			if _, err := unix.Poll(state, 0); err == nil && state[0].Revents&unix.POLLHUP == 0 {
				return true
			}
		}
	}
	return false
}

// isQuiet: nothing waits to be read, and nothing came for so long.
func (out *output) isQuiet(duration time.Duration) bool {
	out.mu.Lock()
	defer out.mu.Unlock()
	return !out.hasMore() && time.Since(out.lastAt) > duration
}

// hasMore: something waits to be read.
func (out *output) hasMore() bool {
	var waiting []unix.PollFd
	for _, each := range out.streams {
		if each.fd >= 0 {
			waiting = append(waiting, unix.PollFd{Fd: int32(each.fd), Events: unix.POLLIN})
		}
	}
	if len(waiting) == 0 {
		return false
	}
	_, err := unix.Poll(waiting, 0)
	isReady := func(each unix.PollFd) bool { return each.Revents&unix.POLLIN != 0 }
	return err != nil || slices.ContainsFunc(waiting, isReady)
}

// finish tells what was written. What still lies in the pipes is written first, however long the disk takes; then they are closed.
func (out *output) finish() written {
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.hasMore() {
		out.mu.Unlock()
		out.takeRest()
		out.mu.Lock()
	}
	for _, each := range out.streams {
		out.closeStream(each)
	}
	return out.spool.finish()
}

// takeRest is waited for in a queue of its own, so that the collector's thread is not kept out meanwhile.
func (out *output) takeRest() {
	rest := &out.streams[0].collector.rest
	rest.Lock()
	defer rest.Unlock()
	out.mu.Lock()
	defer out.mu.Unlock()
	for _, each := range out.streams {
		each.takeRest(rest.buffer)
	}
}

// forget comes before a close: of a terminal there may be a second descriptor, which would keep it in the set.
func (c *collector) forget(s *stream) {
	_ = unix.EpollCtl(c.epoll, unix.EPOLL_CTL_DEL, s.fd, nil)
	c.mu.Lock()
	delete(c.streams, s.key)
	c.mu.Unlock()
}

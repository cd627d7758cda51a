package stdio

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/spool"
	"shellcron.dev/launcher/internal/wire"
)

// Output is what one run writes.
type Output struct {
	// Done is closed when no process holds a pipe open any more, or by Finish.
	Done chan struct{}

	mu      sync.Mutex
	streams []*stream
	open    int
	lastAt  time.Time
	spool   *spool.Writer
	onMore  func()
}

// IsHeld is true if a process still holds a pipe open.
func (out *Output) IsHeld() bool {
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

// IsQuiet is true if nothing is left to read, and nothing came for that long.
func (out *Output) IsQuiet(duration time.Duration) bool {
	out.mu.Lock()
	defer out.mu.Unlock()
	return !out.hasMore() && time.Since(out.lastAt) > duration
}

// Finish reads what is left in the pipes, however long the disk takes, closes them, and describes the output.
func (out *Output) Finish() wire.Written {
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.hasMore() {
		out.mu.Unlock()
		out.readRest()
		out.mu.Lock()
	}
	for _, each := range out.streams {
		out.closeStream(each)
	}
	return out.spool.Finish()
}

func (out *Output) hasMore() bool {
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

// readRest waits for other runs that do the same, not for the collector's thread.
func (out *Output) readRest() {
	rest := &out.streams[0].collector.rest
	rest.Lock()
	defer rest.Unlock()
	out.mu.Lock()
	defer out.mu.Unlock()
	turns := 1
	for _, each := range out.streams {
		if each.fd >= 0 {
			turns = max(turns, each.holds()/turnBytes)
		}
	}
	for ; turns > 0 && out.readBoth(rest.buffers); turns-- {
	}
	for _, each := range out.streams {
		each.readRest(rest.first)
	}
}

func (out *Output) closeStream(s *stream) {
	if s.fd < 0 {
		return
	}
	s.collector.drop(s)
	_ = unix.Close(s.fd)
	s.fd = -1
	if out.open--; out.open == 0 {
		close(out.Done)
	}
}

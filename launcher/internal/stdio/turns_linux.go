package stdio

import (
	"bytes"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/spool"
)

const (
	// turnBytes is the most that is read from each stream if both are readable: what a pipe holds.
	turnBytes = 64 << 10
	// maxPieces bounds into how many chunks such a read is cut.
	maxPieces = 256
)

// readBoth reads both streams if both are readable, and writes their lines in turn. Nothing tells in which order two pipes were
// written: lines in turn are right for commands that write to both alike, and close for all others. It returns false if it has read
// nothing.
func (out *Output) readBoth(into buffers) bool {
	if len(out.streams) < 2 || out.open < 2 || !out.areAllReadable() {
		return false
	}
	stdout, stderr := out.streams[0], out.streams[1]
	first := pieces{stream: stdout, rest: into.first[:spool.HeaderBytes+stdout.take(into.first[:spool.HeaderBytes+turnBytes])]}
	second := pieces{stream: stderr, rest: into.second[:spool.HeaderBytes+stderr.take(into.second)]}
	first.total, second.total = first.left(), second.left()
	for first.left()+second.left() > 0 {
		// The stream with the greater part left is next.
		if first.left()*second.total >= second.left()*first.total && first.left() > 0 {
			first.push()
		} else {
			second.push()
		}
	}
	if first.total+second.total > 0 {
		out.onMore()
	}
	return first.total+second.total > 0
}

func (out *Output) areAllReadable() bool {
	var states []unix.PollFd
	for _, each := range out.streams {
		states = append(states, unix.PollFd{Fd: int32(each.fd), Events: unix.POLLIN})
	}
	if _, err := unix.Poll(states, 0); err != nil {
		return false
	}
	for _, each := range states {
		if each.Revents&unix.POLLIN == 0 {
			return false
		}
	}
	return true
}

// pieces are what was read from a stream, with room for a chunk's header in front.
type pieces struct {
	stream *stream
	rest   []byte
	total  int
}

func (p *pieces) left() int { return len(p.rest) - spool.HeaderBytes }

// push writes whole lines: one, or more if there are many. The next header overwrites what is written.
func (p *pieces) push() {
	data := p.rest[spool.HeaderBytes:]
	size := len(data)
	least := min(max(p.total/maxPieces, 1), size)
	if end := bytes.IndexByte(data[least-1:], '\n'); end >= 0 {
		size = least + end
	}
	p.stream.output.spool.Push(p.stream.kind, p.rest[:spool.HeaderBytes+size])
	p.rest = p.rest[size:]
}

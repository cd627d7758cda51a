//go:build !linux

// Package stdio makes a command's three streams, and writes what the command writes into its spool. Outside of Linux, each stream has
// a goroutine that reads it, and there is no terminal.
package stdio

import (
	"os"
	"sync"
	"time"

	"shellcron.dev/launcher/internal/crash"
	"shellcron.dev/launcher/internal/spool"
	"shellcron.dev/launcher/internal/wire"
)

// Options say which streams a command gets.
type Options struct {
	// Stdin is what the command reads; nil is the null device.
	Stdin []byte
	// TTY must be nil.
	TTY *wire.WindowSize
	// UID and GID are not used.
	UID, GID int
}

// Streams are the command's ends and the launcher's.
type Streams struct {
	child          [3]*os.File
	stdout, stderr *os.File
	input          *os.File
	rest           []byte
}

// Open makes the streams.
func Open(with Options, _ int) (s *Streams, err error) {
	s = &Streams{rest: with.Stdin}
	if s.stdout, s.child[1], err = os.Pipe(); err == nil {
		s.stderr, s.child[2], err = os.Pipe()
	}
	if err == nil && with.Stdin == nil {
		s.child[0], err = os.Open(os.DevNull)
	} else if err == nil {
		s.child[0], s.input, err = os.Pipe()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// ChildFiles are the command's three files.
func (s *Streams) ChildFiles() []*os.File { return s.child[:] }

// HasInput says whether Feed has something to write.
func (s *Streams) HasInput() bool { return s.input != nil }

// Feed writes stdin, until the command closes it or CloseInput is called.
func (s *Streams) Feed() {
	_, _ = s.input.Write(s.rest)
	_ = s.input.Close()
}

// CloseInput ends Feed.
func (s *Streams) CloseInput() { closeFile(s.input) }

// CloseChild closes the command's ends, which it has inherited.
func (s *Streams) CloseChild() {
	for n, file := range s.child {
		closeFile(file)
		s.child[n] = nil
	}
}

// Close is for a command that did not start.
func (s *Streams) Close() {
	s.CloseChild()
	closeFile(s.stdout)
	closeFile(s.stderr)
	s.CloseInput()
}

func closeFile(file *os.File) {
	if file != nil {
		_ = file.Close()
	}
}

// Collector puts what commands write into their spools.
type Collector struct{}

// NewCollector returns a collector.
func NewCollector() (*Collector, error) { return &Collector{}, nil }

// Work does nothing.
func (c *Collector) Work() {}

// Output is what one run writes.
type Output struct {
	// Done is closed when no process holds a pipe open any more, or by Finish.
	Done chan struct{}

	mu         sync.Mutex
	files      []*os.File
	open       int
	isFinished bool
	lastAt     time.Time
	spool      *spool.Writer
	onMore     func()
}

// Collect takes over the launcher's ends of the streams. `onMore` is called when something was written.
func (c *Collector) Collect(from *Streams, into *spool.Writer, onMore func()) *Output {
	out := &Output{
		Done: make(chan struct{}), files: []*os.File{from.stdout, from.stderr}, open: 2, spool: into, onMore: onMore, lastAt: time.Now(),
	}
	crash.Go(func() { out.read(from.stdout, spool.Stdout) })
	crash.Go(func() { out.read(from.stderr, spool.Stderr) })
	return out
}

func (out *Output) read(file *os.File, kind byte) {
	buffer := make([]byte, spool.HeaderBytes+spool.MaxDataBytes)
	for {
		n, err := file.Read(buffer[spool.HeaderBytes:])
		out.mu.Lock()
		if n > 0 && !out.isFinished {
			out.lastAt = time.Now()
			out.spool.Push(kind, buffer[:spool.HeaderBytes+n])
			out.onMore()
		}
		if err != nil {
			if out.open--; out.open == 0 && !out.isFinished {
				close(out.Done)
			}
			out.mu.Unlock()
			_ = file.Close()
			return
		}
		out.mu.Unlock()
	}
}

// IsHeld is true if a process still holds a pipe open.
func (out *Output) IsHeld() bool {
	out.mu.Lock()
	defer out.mu.Unlock()
	return out.open > 0
}

// IsQuiet is true if nothing came for that long.
func (out *Output) IsQuiet(duration time.Duration) bool {
	out.mu.Lock()
	defer out.mu.Unlock()
	return time.Since(out.lastAt) > duration
}

// Finish closes the pipes and describes the output.
func (out *Output) Finish() wire.Written {
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.open > 0 {
		close(out.Done)
		for _, file := range out.files {
			// Windows may keep a close waiting for a read.
			go file.Close()
		}
	}
	out.isFinished = true
	return out.spool.Finish()
}

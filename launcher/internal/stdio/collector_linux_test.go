package stdio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"shellcron.dev/launcher/internal/spool"
	"shellcron.dev/launcher/internal/wire"
)

// uncollected is a run's output while the collector's thread does not run, and the path of its spool.
func uncollected(t *testing.T, stdout, stderr int) (*Output, string) {
	t.Helper()
	c, err := NewCollector()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(c.epoll) })
	path := filepath.Join(t.TempDir(), "spool")
	return c.Collect(&Streams{stdout: stdout, stderr: stderr}, spool.NewWriter(path, 1<<30), func() {}), path
}

func pipe(t *testing.T) (reader int, writer *os.File) {
	t.Helper()
	reader, fd, err := outputPipe(Options{UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	return reader, os.NewFile(uintptr(fd), "pipe")
}

func write(t *testing.T, to *os.File, data []byte) {
	t.Helper()
	if _, err := to.Write(data); err != nil {
		t.Fatal(err)
	}
}

func TestBytesThatAreInThePipesAtTheEndAreWritten(t *testing.T) {
	const large = 1 << 20
	ended, toEnded := pipe(t)
	held, toHeld := pipe(t)
	defer toHeld.Close()
	if _, err := unix.FcntlInt(uintptr(held), unix.F_SETPIPE_SZ, large); err != nil {
		t.Fatal(err)
	}
	out, path := uncollected(t, ended, held)
	write(t, toEnded, bytes.Repeat([]byte("o"), 50_000))
	_ = toEnded.Close()
	write(t, toHeld, bytes.Repeat([]byte("e"), large))
	if got := out.Finish(); got.Stdout != (wire.StreamCount{Bytes: 50_000, Cut: 0}) || got.Stderr != (wire.StreamCount{Bytes: large, Cut: 0}) {
		t.Errorf("%+v", got)
	}
	if again := spool.Recover(path); again.Stdout.Bytes != 50_000 || again.Stderr.Bytes != large {
		t.Errorf("%+v", again)
	}
}

func TestAProcessThatWritesForeverIsNotWaitedFor(t *testing.T) {
	held, toHeld := pipe(t)
	none, toNone := pipe(t)
	_ = toNone.Close()
	out, _ := uncollected(t, held, none)
	filled := make(chan struct{})
	go func() {
		defer toHeld.Close()
		write(t, toHeld, make([]byte, 64<<10))
		close(filled)
		for {
			if _, err := toHeld.Write(make([]byte, 4<<10)); err != nil {
				return
			}
		}
	}()
	<-filled
	if got := out.Finish(); got.Stdout != (wire.StreamCount{Bytes: 64 << 10, Cut: 0}) {
		t.Errorf("%+v", got)
	}
}

func TestBytesThatAreInATerminalAtTheEndAreWritten(t *testing.T) {
	for _, isHeld := range []bool{false, true} {
		streams, err := Open(Options{TTY: &wire.WindowSize{Columns: 80, Rows: 24}, UID: -1, GID: -1}, -1)
		if err != nil {
			t.Fatal(err)
		}
		out, _ := uncollected(t, streams.stdout, -1)
		slave := os.NewFile(uintptr(streams.child[1]), "tty")
		write(t, slave, bytes.Repeat([]byte("x"), 3_000))
		if !isHeld {
			_ = slave.Close()
		}
		if out.IsHeld() != isHeld {
			t.Errorf("held: %v", out.IsHeld())
		}
		if got := out.Finish(); got.Stdout != (wire.StreamCount{Bytes: 3_000, Cut: 0}) {
			t.Errorf("held: %v: %+v", isHeld, got)
		}
		_ = slave.Close()
		_ = streams.input.Close()
	}
}

func TestLinesOfBothStreamsAreWrittenInTurn(t *testing.T) {
	stdout, toStdout := pipe(t)
	stderr, toStderr := pipe(t)
	out, path := uncollected(t, stdout, stderr)
	for n := range 200 {
		write(t, toStdout, fmt.Appendf(nil, "out %d\n", n))
		write(t, toStderr, fmt.Appendf(nil, "err %d\n", n))
	}
	_ = toStdout.Close()
	_ = toStderr.Close()
	want := wire.StreamCount{Bytes: 1_490, Cut: 0}
	if got := out.Finish(); got.Stdout != want || got.Stderr != want {
		t.Errorf("%+v", got)
	}
	part, err := spool.Read(path, 0, spool.MaxReadBytes, 0)
	if err != nil {
		t.Fatal(err)
	}
	var order []byte
	for rest := part.Data; len(rest) > 0; {
		length := int(binary.BigEndian.Uint32(rest[9:]))
		for range bytes.Count(rest[spool.HeaderBytes:spool.HeaderBytes+length], []byte{'\n'}) {
			order = append(order, rest[0])
		}
		rest = rest[spool.HeaderBytes+length:]
	}
	if want := bytes.Repeat([]byte{spool.Stdout, spool.Stderr}, 200); !bytes.Equal(order, want) {
		t.Errorf("%v", order)
	}
}

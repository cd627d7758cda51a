package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// uncollected is a run's output while the collector's thread is held up by the disk, and its spool.
func uncollected(t *testing.T, stdout, stderr int) (*output, string) {
	t.Helper()
	c, err := newCollector()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(c.epoll) })
	path := filepath.Join(t.TempDir(), "spool")
	return c.collect(&spool{path: path, room: 1 << 30}, stdout, stderr, func() {}), path
}

func pipe(t *testing.T) (reader int, writer *os.File) {
	t.Helper()
	reader, fd, err := pipeToUs(nil)
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

func TestWhatLiesInThePipesAtTheEndIsWritten(t *testing.T) {
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
	if got := out.finish(); got.Stdout != (streamCount{50_000, 0}) || got.Stderr != (streamCount{large, 0}) {
		t.Errorf("%+v", got)
	}
	if again := recoverOutput(path); again.Stdout.Bytes != 50_000 || again.Stderr.Bytes != large {
		t.Errorf("%+v", again)
	}
}

func TestWhoWritesOnWithoutEndIsNotWaitedFor(t *testing.T) {
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
	if got := out.finish(); got.Stdout != (streamCount{64 << 10, 0}) {
		t.Errorf("%+v", got)
	}
}

func TestWhatLiesInATerminalAtTheEndIsWritten(t *testing.T) {
	for _, isHeld := range []bool{false, true} {
		io, err := openTerminal(&arm{tty: &windowSize{Columns: 80, Rows: 24}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, _ := uncollected(t, io.stdout, -1)
		slave := os.NewFile(uintptr(io.child[1]), "tty")
		write(t, slave, bytes.Repeat([]byte("x"), 3_000))
		if !isHeld {
			_ = slave.Close()
		}
		if out.isHeld() != isHeld {
			t.Errorf("held: %v", out.isHeld())
		}
		if got := out.finish(); got.Stdout != (streamCount{3_000, 0}) {
			t.Errorf("held: %v: %+v", isHeld, got)
		}
		_ = slave.Close()
		_ = io.input.Close()
	}
}

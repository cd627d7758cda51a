package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// The names that launcher/node gives: either finds the other's spools.
func TestSpoolNamesAreThoseOfLauncherNode(t *testing.T) {
	for id, name := range map[string]string{
		"plain-1_~!*'()": "plain-1_~!*'()",
		"..":             "%2E.",
		"a/b":            "a%2Fb",
		"ü ∞":            "%C3%BC%20%E2%88%9E",
		strings.Repeat("x", 201): strings.Repeat("x", 160) +
			"-c3c5341496a657eba2957cea7a62e38afff86438d5b31fb1f78505331c081cfd",
		strings.Repeat("ü", 100): strings.Repeat("%C3%BC", 26) + "%C3%" +
			"-367b7cb88792999a13b469694c9c9cd543210802b4848f2b358994f312d37cee",
	} {
		if got := spoolName(id); got != name {
			t.Errorf("%q: %q", id, got)
		}
	}
}

func chunk(data string) []byte { return append(make([]byte, chunkHeaderBytes), data...) }

func TestOutputPastTheLimitIsCutAndTheCutIsMarked(t *testing.T) {
	s := &spool{path: filepath.Join(t.TempDir(), "spool"), room: 5}
	s.push(kindStdout, chunk("abc"))
	s.push(kindStderr, chunk("defg"))
	got := s.finish()
	want := written{Stdout: streamCount{3, 0}, Stderr: streamCount{2, 2}, Tail: "abcdefg"}
	if got != want {
		t.Fatalf("%+v", got)
	}
	part, err := readSpool(s.path, 0, 1<<20, kindStdout)
	if err != nil || part.next != part.size || part.data[0] != kindStderr || !bytes.HasSuffix(part.data, []byte(`{"stdout":0,"stderr":2,"tail":"abcdefg"}`)) {
		t.Fatalf("%q %v", part.data, err)
	}
	if again := recoverOutput(s.path); again.Tail != "abcdefg" || again.Stdout.Bytes != 3 || again.Stderr.Bytes != 2 {
		t.Fatalf("%+v", again)
	}
}

func TestWithoutAFileThatCanBeWrittenAllIsCutWithTheReason(t *testing.T) {
	s := &spool{path: filepath.Join(os.DevNull, "spool"), room: 100}
	s.push(kindStdout, chunk("hello"))
	if got := s.finish(); got != (written{Stdout: streamCount{0, 5}, Tail: "hello", SpoolError: "ENOTDIR"}) {
		t.Fatalf("%+v", got)
	}
}

func TestWhatACrashLeftOfALastChunkIsNotRead(t *testing.T) {
	s := &spool{path: filepath.Join(t.TempDir(), "spool"), room: 100}
	s.push(kindStdout, chunk("one"))
	s.push(kindStderr, chunk("second"))
	s.finish()
	whole, _ := os.ReadFile(s.path)
	_ = os.WriteFile(s.path, whole[:len(whole)-1], 0o600)
	if got := recoverOutput(s.path); got != (written{Stdout: streamCount{3, 0}, Tail: "one"}) {
		t.Fatalf("%+v", got)
	}
	if part, err := readSpool(s.path, 0, 1, 0); err != nil || part.next != 16 {
		t.Fatalf("%+v %v", part, err)
	}
	if part, err := readSpool(s.path, 16, 1, 0); err != nil || part.next != 16 {
		t.Fatalf("%+v %v", part, err)
	}
}

func FuzzATailIsTextOfAtMost512Bytes(f *testing.F) {
	f.Add([]byte(strings.Repeat("ä", 300)), []byte("end"))
	f.Add(bytes.Repeat([]byte{0xff}, 600), []byte{0x80})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var last tail
		last.push(first)
		last.push(second)
		text := last.text()
		if len(text) > tailBytes || !utf8.ValidString(text) {
			t.Fatalf("%d %q", len(text), text)
		}
		if all := string(first) + string(second); len(all) <= tailBytes && utf8.ValidString(all) && text != all {
			t.Fatalf("%q is not %q", text, all)
		}
	})
}

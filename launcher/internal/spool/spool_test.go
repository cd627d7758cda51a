package spool

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"shellcron.dev/launcher/internal/wire"
)

// A launcher of another version must find the same files.
func TestTheNameOfASpoolNeverChanges(t *testing.T) {
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
		if got := Name(id); got != name {
			t.Errorf("%q: %q", id, got)
		}
	}
}

func chunk(data string) []byte { return append(make([]byte, HeaderBytes), data...) }

func TestOutputPastTheLimitIsCutAndMarked(t *testing.T) {
	s := NewWriter(filepath.Join(t.TempDir(), "spool"), 5)
	s.Push(Stdout, chunk("abc"))
	s.Push(Stderr, chunk("defg"))
	got := s.Finish()
	want := wire.Written{Stdout: wire.StreamCount{Bytes: 3, Cut: 0}, Stderr: wire.StreamCount{Bytes: 2, Cut: 2}, Tail: "abcdefg"}
	if got != want {
		t.Fatalf("%+v", got)
	}
	part, err := Read(s.path, 0, 1<<20, Stdout)
	if err != nil || part.Next != part.Size || part.Data[0] != Stderr || !bytes.HasSuffix(part.Data, []byte(`{"stdout":0,"stderr":2,"tail":"abcdefg"}`)) {
		t.Fatalf("%q %v", part.Data, err)
	}
	if again := Recover(s.path); again.Tail != "abcdefg" || again.Stdout.Bytes != 3 || again.Stderr.Bytes != 2 {
		t.Fatalf("%+v", again)
	}
}

func TestIfTheFileCannotBeWrittenAllOutputIsCutWithTheReason(t *testing.T) {
	s := NewWriter(filepath.Join(os.DevNull, "spool"), 100)
	s.Push(Stdout, chunk("hello"))
	if got := s.Finish(); got != (wire.Written{Stdout: wire.StreamCount{Bytes: 0, Cut: 5}, Tail: "hello", SpoolError: "ENOTDIR"}) {
		t.Fatalf("%+v", got)
	}
}

func TestALastChunkThatACrashCutShortIsNotRead(t *testing.T) {
	s := NewWriter(filepath.Join(t.TempDir(), "spool"), 100)
	s.Push(Stdout, chunk("one"))
	s.Push(Stderr, chunk("second"))
	s.Finish()
	whole, _ := os.ReadFile(s.path)
	_ = os.WriteFile(s.path, whole[:len(whole)-1], 0o600)
	if got := Recover(s.path); got != (wire.Written{Stdout: wire.StreamCount{Bytes: 3, Cut: 0}, Tail: "one"}) {
		t.Fatalf("%+v", got)
	}
	if part, err := Read(s.path, 0, 1, 0); err != nil || part.Next != 16 {
		t.Fatalf("%+v %v", part, err)
	}
	if part, err := Read(s.path, 16, 1, 0); err != nil || part.Next != 16 {
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

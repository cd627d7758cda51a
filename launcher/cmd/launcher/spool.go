package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf16"

	"golang.org/x/sys/unix"
)

// A spool file is a row of chunks:
//
//	kind: 1 byte | time: 8 bytes, Unix ms | length: 4 bytes | data          (integers unsigned, big-endian)
const (
	chunkHeaderBytes = 13
	kindStdout       = 1
	kindStderr       = 2
	kindCut          = 3
)

const longestName = 200

// spoolName: ids are opaque: whatever one holds, its file lies in the folder, and no two ids share one. The same as
// launcher/node's.
func spoolName(id string) string {
	var name strings.Builder
	for n := 0; n < len(id); n++ {
		char := id[n]
		isPlain := char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' ||
			strings.IndexByte("-_!~*'()", char) >= 0 || char == '.' && n > 0
		if isPlain {
			name.WriteByte(char)
		} else {
			fmt.Fprintf(&name, "%%%02X", char)
		}
	}
	if name.Len() <= longestName {
		return name.String()
	}
	units := utf16.Encode([]rune(id))
	bytes := make([]byte, 0, 2*len(units))
	for _, unit := range units {
		bytes = binary.LittleEndian.AppendUint16(bytes, unit)
	}
	return fmt.Sprintf("%s-%x", name.String()[:160], sha256.Sum256(bytes))
}

// cutMark has the tail too, as what was cut is in it, and nowhere else.
type cutMark struct {
	Stdout int64  `json:"stdout"`
	Stderr int64  `json:"stderr"`
	Tail   string `json:"tail,omitempty"`
}

// spool is a run's output on its way to the disk. The file is made with the first byte.
type spool struct {
	path   string
	room   int64
	file   *os.File
	size   int64
	counts written
	tail   tail
}

// push takes a chunk with room for its header before the data. What cannot be written counts as cut.
func (s *spool) push(kind byte, chunk []byte) {
	data := chunk[chunkHeaderBytes:]
	s.tail.push(data)
	kept := int64(0)
	if s.counts.SpoolError == "" {
		kept = min(s.room, int64(len(data)))
	}
	if kept > 0 && !s.write(kind, chunk[:chunkHeaderBytes+kept]) {
		kept = 0
	}
	s.room -= kept
	count := &s.counts.Stdout
	if kind == kindStderr {
		count = &s.counts.Stderr
	}
	count.Bytes += kept
	count.Cut += int64(len(data)) - kept
}

// finish writes the mark if something was cut. Nothing may be pushed after.
func (s *spool) finish() written {
	if cut := s.counts.Stdout.Cut + s.counts.Stderr.Cut; cut > 0 && s.counts.SpoolError == "" {
		mark, _ := json.Marshal(cutMark{s.counts.Stdout.Cut, s.counts.Stderr.Cut, s.tail.text()})
		s.write(kindCut, append(make([]byte, chunkHeaderBytes), mark...))
	}
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
	s.counts.Tail = s.tail.text()
	return s.counts
}

func (s *spool) write(kind byte, chunk []byte) bool {
	chunk[0] = kind
	binary.BigEndian.PutUint64(chunk[1:], uint64(nowMs()))
	binary.BigEndian.PutUint32(chunk[9:], uint32(len(chunk)-chunkHeaderBytes))
	err := s.open()
	if err == nil {
		_, err = s.file.Write(chunk)
	}
	if err == nil {
		s.size += int64(len(chunk))
		return true
	}
	s.counts.SpoolError = errorName(err)
	if s.file != nil {
		_ = s.file.Truncate(s.size)
	}
	return false
}

// open makes the folder too, if somebody took that away.
func (s *spool) open() (err error) {
	if s.file != nil {
		return nil
	}
	if s.file, err = makeFile(s.path); errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(s.path), 0o700); err == nil {
			s.file, err = makeFile(s.path)
		}
	}
	return err
}

func makeFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
}

// errorName is as <errno.h> has it, like ENOSPC.
func errorName(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		if name := unix.ErrnoName(number); name != "" {
			return name
		}
	}
	return "Unknown"
}

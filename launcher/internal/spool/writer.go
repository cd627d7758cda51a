// Package spool keeps the output of runs, one file each. A file is a row of chunks:
//
//	kind: 1 byte | time: 8 bytes, Unix ms | length: 4 bytes | data          (integers unsigned, big-endian)
package spool

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"shellcron.dev/launcher/internal/clock"
	"shellcron.dev/launcher/internal/wire"
)

// The kinds of chunks.
const (
	Stdout = 1
	Stderr = 2
	// cut stands last, if output was cut.
	cut = 3
)

const (
	// HeaderBytes come before a chunk's data.
	HeaderBytes = 13
	// MaxDataBytes is the most data in a chunk that the launcher writes.
	MaxDataBytes = 64 << 10
)

// cutMark is the data of a `cut` chunk. It has the tail, which may hold bytes that were cut and are nowhere else.
type cutMark struct {
	Stdout int64  `json:"stdout"`
	Stderr int64  `json:"stderr"`
	Tail   string `json:"tail,omitempty"`
}

// Writer writes one run's spool. The file is created with the first byte.
type Writer struct {
	path   string
	room   int64
	file   *os.File
	size   int64
	counts wire.Written
	tail   tail
}

// NewWriter cuts output after `limit` bytes of data.
func NewWriter(path string, limit int64) *Writer { return &Writer{path: path, room: limit} }

// Push writes a chunk; `chunk` has HeaderBytes of room before the data. What cannot be written counts as cut.
func (w *Writer) Push(kind byte, chunk []byte) {
	data := chunk[HeaderBytes:]
	w.tail.push(data)
	kept := int64(0)
	if w.counts.SpoolError == "" {
		kept = min(w.room, int64(len(data)))
	}
	if kept > 0 && !w.write(kind, chunk[:HeaderBytes+kept]) {
		kept = 0
	}
	w.room -= kept
	count := &w.counts.Stdout
	if kind == Stderr {
		count = &w.counts.Stderr
	}
	count.Bytes += kept
	count.Cut += int64(len(data)) - kept
}

// Finish marks what was cut, and closes the file. Push must not be called after it.
func (w *Writer) Finish() wire.Written {
	if n := w.counts.Stdout.Cut + w.counts.Stderr.Cut; n > 0 && w.counts.SpoolError == "" {
		mark, _ := json.Marshal(cutMark{w.counts.Stdout.Cut, w.counts.Stderr.Cut, w.tail.text()})
		w.write(cut, append(make([]byte, HeaderBytes), mark...))
	}
	if w.file != nil {
		_ = w.file.Close()
		w.file = nil
	}
	w.counts.Tail = w.tail.text()
	return w.counts
}

func (w *Writer) write(kind byte, chunk []byte) bool {
	chunk[0] = kind
	binary.BigEndian.PutUint64(chunk[1:], uint64(clock.NowMs()))
	binary.BigEndian.PutUint32(chunk[9:], uint32(len(chunk)-HeaderBytes))
	err := w.open()
	if err == nil {
		_, err = w.file.Write(chunk)
	}
	if err == nil {
		w.size += int64(len(chunk))
		return true
	}
	w.counts.SpoolError = errorName(err)
	if w.file != nil {
		_ = w.file.Truncate(w.size)
	}
	return false
}

// open creates the file, and its folder if somebody removed that.
func (w *Writer) open() (err error) {
	if w.file != nil {
		return nil
	}
	if w.file, err = create(w.path); errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(w.path), 0o700); err == nil {
			w.file, err = create(w.path)
		}
	}
	return err
}

func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
}

package spool

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

// MaxReadBytes is the most that one read returns, unless a single chunk is longer. The answer is held in memory, twice.
const MaxReadBytes = 1 << 20

// Part is what one read returns.
type Part struct {
	// Data is whole chunks.
	Data []byte
	// Next is the offset after them.
	Next int64
	// Size is that of the whole file.
	Size int64
}

// Read returns whole chunks from `offset` on, about `length` bytes, but at least one chunk if there is one, and none if `length` is
// 0. Chunks of the kind `without` are left out, and Next passes over them. A file that does not exist is empty.
func Read(path string, offset int64, length int, without byte) (Part, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Part{Next: offset}, nil
	}
	if err != nil {
		return Part{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Part{}, err
	}
	part := Part{Next: offset, Size: info.Size()}
	if length == 0 {
		return part, nil
	}
	left := max(part.Size-offset, 0)
	bytes, err := readAt(file, offset, min(int64(min(max(length, HeaderBytes), MaxReadBytes)), left))
	if err == nil && len(bytes) >= HeaderBytes && chunkEnd(bytes) > len(bytes) {
		bytes, err = readAt(file, offset, min(int64(chunkEnd(bytes)), left))
	}
	// Chunks that are kept move over those that are left out, in the same buffer.
	part.Data = bytes[:0]
	for len(bytes) >= HeaderBytes && chunkEnd(bytes) <= len(bytes) {
		end := chunkEnd(bytes)
		if bytes[0] != without {
			part.Data = append(part.Data, bytes[:end]...)
		}
		part.Next += int64(end)
		bytes = bytes[end:]
	}
	return part, err
}

func readAt(file *os.File, offset, length int64) ([]byte, error) {
	bytes := make([]byte, length)
	n, err := file.ReadAt(bytes, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return bytes[:n], err
}

// chunkEnd is the length of the chunk that `bytes` begins with, header included.
func chunkEnd(bytes []byte) int {
	return HeaderBytes + int(binary.BigEndian.Uint32(bytes[9:]))
}

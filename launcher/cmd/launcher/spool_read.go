package main

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

// A read's answer is no longer, whatever was asked for: it is held in memory, and in base64 as well.
const maxReadBytes = 1 << 20

type spoolPart struct {
	data []byte
	next int64
	// size is that of the whole file.
	size int64
}

// readSpool returns whole chunks from `offset`, about `length` bytes, at least one if there is one. The kind `without` is left
// out, and `next` passes over it. Without a length there are none. A file that does not exist is empty.
func readSpool(path string, offset int64, length int, without byte) (spoolPart, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return spoolPart{next: offset}, nil
	}
	if err != nil {
		return spoolPart{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return spoolPart{}, err
	}
	part := spoolPart{next: offset, size: info.Size()}
	if length == 0 {
		return part, nil
	}
	left := max(part.size-offset, 0)
	bytes, err := readAt(file, offset, min(int64(min(max(length, chunkHeaderBytes), maxReadBytes)), left))
	if err == nil && len(bytes) >= chunkHeaderBytes && chunkEnd(bytes) > len(bytes) {
		bytes, err = readAt(file, offset, min(int64(chunkEnd(bytes)), left))
	}
	// What is left out is written over by what follows it.
	part.data = bytes[:0]
	for len(bytes) >= chunkHeaderBytes && chunkEnd(bytes) <= len(bytes) {
		end := chunkEnd(bytes)
		if bytes[0] != without {
			part.data = append(part.data, bytes[:end]...)
		}
		part.next += int64(end)
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

// chunkEnd is where the chunk that these bytes begin with ends.
func chunkEnd(bytes []byte) int {
	return chunkHeaderBytes + int(binary.BigEndian.Uint32(bytes[9:]))
}

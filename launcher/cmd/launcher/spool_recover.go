package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
)

// What an earlier launcher had written of a run's output may be a gigabyte: none of it is read but what is asked for.

const (
	// longestWritten is the longest chunk that a launcher writes.
	longestWritten = chunkHeaderBytes + readBytes
	// recoverWindow holds a chunk's beginning in its first third, and more than a tail behind that.
	recoverWindow = 3 * longestWritten
	// recoverStep is read at once on the way from header to header.
	recoverStep = 4 << 10
	longestMark = 64 << 10
	// clockSlackMs: the clock may have been set while it ran.
	clockSlackMs = 60_000
)

// recoverTail is of a run that ran between these instants, Unix ms.
func recoverTail(path string, from, to int64) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	start := max(info.Size()-recoverWindow, 0)
	bytes, err := readAt(file, start, info.Size()-start)
	if err != nil {
		return ""
	}
	if start == 0 {
		return tailIn(bytes)
	}
	if first := firstChunk(bytes, from-clockSlackMs, to+clockSlackMs); first >= 0 {
		return tailIn(bytes[first:])
	}
	return walk(file, info.Size()).Tail
}

// firstChunk is where in the end of a spool its first whole chunk begins; -1: that is not to be told. Chunks are framed forward only. But
// from a chunk's beginning a row of chunks leads to the very end, and what looks so within a chunk, as in a spool that somebody prints,
// is not of this time.
func firstChunk(bytes []byte, from, to int64) int {
	leads := make([]bool, len(bytes)+1)
	leads[len(bytes)] = true
	for at := len(bytes) - chunkHeaderBytes - 1; at >= 0; at-- {
		header := bytes[at : at+chunkHeaderBytes]
		time, end := int64(binary.BigEndian.Uint64(header[1:])), at+chunkEnd(header)
		isLikely := header[0] >= kindStdout && header[0] <= kindCut && time >= from && time <= to
		leads[at] = isLikely && end <= len(bytes) && leads[end]
	}
	for at := range min(longestWritten, len(bytes)) {
		if leads[at] {
			return at
		}
	}
	return -1
}

// tailIn is of the end of a spool, which begins at a chunk.
func tailIn(bytes []byte) string {
	var last tail
	marked := ""
	for len(bytes) >= chunkHeaderBytes && chunkEnd(bytes) <= len(bytes) {
		end := chunkEnd(bytes)
		switch data := bytes[chunkHeaderBytes:end]; bytes[0] {
		case kindStdout, kindStderr:
			last.push(data)
		case kindCut:
			marked = markedTail(data)
		}
		bytes = bytes[end:]
	}
	if marked != "" {
		return marked
	}
	return last.text()
}

func markedTail(data []byte) string {
	var mark cutMark
	// A power cut may have damaged it: then it says nothing.
	_ = json.Unmarshal(data, &mark)
	return mark.Tail
}

// recoverOutput counts what is there of a run's output, and finds its tail.
func recoverOutput(path string) written {
	file, err := os.Open(path)
	if err != nil {
		return written{}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return written{}
	}
	return walk(file, info.Size())
}

// extent is where a chunk's data lies.
type extent struct{ at, length int64 }

// walk goes from header to header, and reads nothing else but the last data.
func walk(file io.ReaderAt, size int64) written {
	var found written
	var last extents
	var marked string
	var step stepper
	for at := int64(0); ; {
		header := step.at(file, at)
		if header == nil {
			break
		}
		data := extent{at + chunkHeaderBytes, int64(binary.BigEndian.Uint32(header[9:]))}
		if at = data.at + data.length; at > size {
			break
		}
		switch header[0] {
		case kindStdout:
			found.Stdout.Bytes += data.length
			last.push(data)
		case kindStderr:
			found.Stderr.Bytes += data.length
			last.push(data)
		case kindCut:
			if data.length <= longestMark {
				marked = markedTail(read(file, data))
			}
		}
	}
	if found.Tail = marked; marked == "" {
		found.Tail = last.tail(file)
	}
	return found
}

// stepper reads headers, many at once where chunks are small.
type stepper struct {
	buffer [recoverStep]byte
	from   int64
	held   int
}

func (s *stepper) at(file io.ReaderAt, at int64) []byte {
	if at < s.from || at+chunkHeaderBytes > s.from+int64(s.held) {
		s.from = at
		s.held, _ = file.ReadAt(s.buffer[:], at)
	}
	if s.held < chunkHeaderBytes {
		return nil
	}
	return s.buffer[at-s.from:][:chunkHeaderBytes]
}

// mostExtents hold more than a tail if there is more: each has a byte at least.
const mostExtents = tailBytes + 1

type extents []extent

func (e *extents) push(each extent) {
	*e = append(*e, each)
	// Not each time: there may be millions.
	if len(*e) > 2*mostExtents {
		*e = append((*e)[:0], (*e)[len(*e)-mostExtents:]...)
	}
}

func (e extents) tail(file io.ReaderAt) string {
	var last tail
	for _, each := range e[max(len(e)-mostExtents, 0):] {
		over := max(each.length-tailBytes-1, 0)
		last.push(read(file, extent{each.at + over, each.length - over}))
	}
	return last.text()
}

func read(file io.ReaderAt, from extent) []byte {
	data := make([]byte, from.length)
	n, _ := file.ReadAt(data, from.at)
	return data[:n]
}

package spool

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"os"

	"shellcron.dev/launcher/internal/wire"
)

// A spool that an earlier launcher left may be a gigabyte: only the parts that are needed are read.

const (
	longestChunk = HeaderBytes + MaxDataBytes
	// recoverWindow is read from the end of a spool: a chunk begins in its first third, and more than a tail follows.
	recoverWindow = 3 * longestChunk
	// recoverStep is how much is read at once on the way from header to header.
	recoverStep = 4 << 10
	longestMark = 64 << 10
	// clockSlackMs: the clock may have been set during the run.
	clockSlackMs = 60_000
)

// RecoverTail returns the tail of a run that ran between two instants, Unix ms.
func RecoverTail(path string, from, to int64) string {
	file, size := open(path)
	if file == nil {
		return ""
	}
	defer file.Close()
	start := max(size-recoverWindow, 0)
	bytes, err := readAt(file, start, size-start)
	if err != nil {
		return ""
	}
	if start == 0 {
		return tailIn(bytes)
	}
	if first := firstChunk(bytes, from-clockSlackMs, to+clockSlackMs); first >= 0 {
		return tailIn(bytes[first:])
	}
	return walk(file, size).Tail
}

// Recover counts a run's output and finds its tail.
func Recover(path string) wire.Written {
	file, size := open(path)
	if file == nil {
		return wire.Written{}
	}
	defer file.Close()
	return walk(file, size)
}

func open(path string) (file *os.File, size int64) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, 0
	}
	return file, info.Size()
}

// firstChunk finds where, in the last bytes of a spool, the first whole chunk begins; -1 if that is unclear. Chunks can only be
// followed forward. But from a real beginning they lead exactly to the end of the file. Output may look like chunks, as when a
// run prints a spool; the times in it are then not those of this run.
func firstChunk(bytes []byte, from, to int64) int {
	leads := make([]bool, len(bytes)+1)
	leads[len(bytes)] = true
	for at := len(bytes) - HeaderBytes - 1; at >= 0; at-- {
		header := bytes[at : at+HeaderBytes]
		time, end := int64(binary.BigEndian.Uint64(header[1:])), at+chunkEnd(header)
		isLikely := header[0] >= Stdout && header[0] <= cut && time >= from && time <= to
		leads[at] = isLikely && end <= len(bytes) && leads[end]
	}
	for at := range min(longestChunk, len(bytes)) {
		if leads[at] {
			return at
		}
	}
	return -1
}

// tailIn takes the end of a spool, from the beginning of a chunk on.
func tailIn(bytes []byte) string {
	var last tail
	marked := ""
	for len(bytes) >= HeaderBytes && chunkEnd(bytes) <= len(bytes) {
		end := chunkEnd(bytes)
		switch data := bytes[HeaderBytes:end]; bytes[0] {
		case Stdout, Stderr:
			last.push(data)
		case cut:
			marked = markedTail(data)
		}
		bytes = bytes[end:]
	}
	if marked != "" {
		return marked
	}
	return last.text()
}

// markedTail is empty if a power cut damaged the mark.
func markedTail(data []byte) string {
	var mark cutMark
	_ = json.Unmarshal(data, &mark)
	return mark.Tail
}

// extent is where a chunk's data lies.
type extent struct{ at, length int64 }

// walk goes from header to header, and reads only the last data.
func walk(file io.ReaderAt, size int64) wire.Written {
	var found wire.Written
	var last extents
	var marked string
	var headers headerReader
	for at := int64(0); ; {
		header := headers.at(file, at)
		if header == nil {
			break
		}
		data := extent{at + HeaderBytes, int64(binary.BigEndian.Uint32(header[9:]))}
		if at = data.at + data.length; at > size {
			break
		}
		switch header[0] {
		case Stdout:
			found.Stdout.Bytes += data.length
			last.push(data)
		case Stderr:
			found.Stderr.Bytes += data.length
			last.push(data)
		case cut:
			if data.length <= longestMark {
				marked = markedTail(data.read(file))
			}
		}
	}
	if found.Tail = marked; marked == "" {
		found.Tail = last.tail(file)
	}
	return found
}

// headerReader reads many headers at once where chunks are small.
type headerReader struct {
	buffer [recoverStep]byte
	from   int64
	held   int
}

func (r *headerReader) at(file io.ReaderAt, at int64) []byte {
	if at < r.from || at+HeaderBytes > r.from+int64(r.held) {
		r.from = at
		r.held, _ = file.ReadAt(r.buffer[:], at)
	}
	if r.held < HeaderBytes {
		return nil
	}
	return r.buffer[at-r.from:][:HeaderBytes]
}

// mostExtents hold more than a tail, if there is more: each has one byte at least.
const mostExtents = tailBytes + 1

// extents are the last chunks of a spool.
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
		last.push(extent{each.at + over, each.length - over}.read(file))
	}
	return last.text()
}

func (e extent) read(file io.ReaderAt) []byte {
	data := make([]byte, e.length)
	n, _ := file.ReadAt(data, e.at)
	return data[:n]
}

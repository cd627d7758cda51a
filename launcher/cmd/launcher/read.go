package main

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const longestWaitMs = 60_000

// When too much is open on the machine, a spool is not lost for it: it is read a moment later.
const (
	hinderedFor  = 200 * time.Millisecond
	mostHindered = 150
)

func isPassing(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

// answerRead waits, if nothing is there yet, for more, for the run's end, or as long as the reader said. Of a run that is not
// known there is nothing.
func (s *supervisor) answerRead(asked message) (readAnswer, error) {
	answer := readAnswer{Seq: asked.Seq, Next: wholeBytes(math.Max(asked.Offset, 0)), End: true}
	e := s.get(asked.ID)
	if e == nil {
		return answer, nil
	}
	path := filepath.Join(s.spoolDir, spoolName(e.id))
	length := int(math.Min(math.Max(asked.Length, 0), maxReadBytes))
	timeout := time.After(ms(math.Min(math.Max(asked.WaitMs, 0), longestWaitMs)))
	hindered := 0
	for isLast := asked.WaitMs <= 0; ; {
		// Asked for before the file is read, so that what is written meanwhile is not slept through.
		more := e.changed.next()
		kept, hasEnded := s.keptOf(e)
		part, err := readSpool(path, answer.Next, length, otherThan(asked.Stream))
		if isPassing(err) && hindered < mostHindered {
			hindered++
			time.Sleep(hinderedFor)
			continue
		}
		if err != nil {
			return answer, err
		}
		// What has ended and whose next chunk is not whole has no next one.
		isAtEnd := hasEnded && (part.next >= part.size || part.next == answer.Next && length > 0)
		isShort := part.size < kept
		answer.Next = part.next
		if isAtEnd && isShort && len(part.data) == 0 {
			return answer, fmt.Errorf("the spool has only %d bytes", part.size)
		}
		answer.Data = part.data
		answer.End = isAtEnd && !isShort
		isThere := len(part.data) > 0 || length == 0 && part.size > part.next
		if isThere || hasEnded || isLast {
			return answer, nil
		}
		select {
		case <-more:
		case <-timeout:
			isLast = true
		}
	}
}

// otherThan is the kind of chunk that is left out, 0 for none.
func otherThan(stream string) byte {
	switch stream {
	case "stdout":
		return kindStderr
	case "stderr":
		return kindStdout
	default:
		return 0
	}
}

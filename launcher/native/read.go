package main

import (
	"math"
	"path/filepath"
	"time"
)

const longestWaitMs = 60_000

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
	for isLast := asked.WaitMs <= 0; ; {
		// Asked for before the file is read, so that what is written meanwhile is not slept through.
		more := e.changed.next()
		hasEnded := s.hasEnded(e)
		part, err := readSpool(path, answer.Next, length, otherThan(asked.Stream))
		if err != nil {
			return answer, err
		}
		answer.Next = part.next
		answer.Data = part.data
		answer.End = hasEnded && part.next >= part.size
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

package supervise

import (
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"

	"shellcron.dev/launcher/internal/clock"
	"shellcron.dev/launcher/internal/spool"
	"shellcron.dev/launcher/internal/wire"
)

const maxWaitMs = 60_000

// While the machine has no free descriptor or memory, a read is tried again.
const (
	retryAfter = 200 * time.Millisecond
	maxRetries = 150
)

func isTemporary(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// Read answers `read`. If there is no output yet, it waits for some, for the run's end, or for the reader's time. A run that is not
// known has no output.
func (s *Supervisor) Read(asked wire.Message) (wire.ReadAnswer, error) {
	answer := wire.ReadAnswer{Seq: asked.Seq, Next: wire.Bytes(math.Max(asked.Offset, 0)), End: true}
	r := s.readable(asked.ID)
	if r == nil {
		return answer, nil
	}
	length := int(math.Min(math.Max(asked.Length, 0), spool.MaxReadBytes))
	timeout := time.After(clock.Duration(math.Min(math.Max(asked.WaitMs, 0), maxWaitMs)))
	retries := 0
	for isLast := asked.WaitMs <= 0; ; {
		// Before the file is read, so that no output in between is missed.
		changed := r.changed.next()
		spooled, hasEnded := s.spooledBytes(r)
		part, err := spool.Read(s.spoolPath(r.id), answer.Next, length, kindWithout(asked.Stream))
		if isTemporary(err) && retries < maxRetries {
			retries++
			time.Sleep(retryAfter)
			continue
		}
		if err != nil {
			return answer, err
		}
		// A last chunk that is cut short never becomes whole.
		isAtEnd := hasEnded && (part.Next >= part.Size || part.Next == answer.Next && length > 0)
		isShort := part.Size < spooled
		answer.Next = part.Next
		if isAtEnd && isShort && len(part.Data) == 0 {
			return answer, fmt.Errorf("the spool has only %d bytes", part.Size)
		}
		answer.Data = part.Data
		answer.End = isAtEnd && !isShort
		hasMore := len(part.Data) > 0 || length == 0 && part.Size > part.Next
		if hasMore || hasEnded || isLast {
			return answer, nil
		}
		select {
		case <-changed:
		case <-timeout:
			isLast = true
		}
	}
}

func (s *Supervisor) readable(id string) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.runs[id]; r != nil && !r.isForgetting {
		return r
	}
	return nil
}

// spooledBytes is how much output a run that has ended has in its spool. A run that is being forgotten has none.
func (s *Supervisor) spooledBytes(r *run) (bytes int64, hasEnded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.isForgetting {
		return 0, true
	}
	return r.spooledBytes, r.record != nil
}

// kindWithout is the kind of chunk to leave out; 0 for none.
func kindWithout(stream string) byte {
	switch stream {
	case "stdout":
		return spool.Stderr
	case "stderr":
		return spool.Stdout
	default:
		return 0
	}
}

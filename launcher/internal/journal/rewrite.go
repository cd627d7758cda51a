package journal

import (
	"errors"
	"os"
	"time"
)

// A journal is rewritten with what still counts when it has grown by rewriteBytes, and to twice its size after the last rewrite.
// While runs are due, it may grow by mostRewriteBytes first: starts would wait for the disk.
const (
	rewriteBytes     = 4 << 20
	mostRewriteBytes = 16 * rewriteBytes
)

func (j *Journal) isLarge() bool {
	grown := j.size - j.keptSize
	if grown <= mostRewriteBytes && j.IsBusy() {
		return false
	}
	return grown > max(rewriteBytes, j.keptSize) || len(j.current) == 0 && j.size > rewriteBytes/64
}

// rewrite replaces the file by one with the lines that count, durably.
func (j *Journal) rewrite() error {
	next := j.path + ".new"
	file, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	size, err := j.copyTo(file)
	if err != nil {
		// Half a file only takes room.
		return errors.Join(err, file.Close(), os.Remove(next))
	}
	if err := j.replace(file, next); err != nil {
		return err
	}
	j.size, j.keptSize, j.isBehind = size, size, false
	return syncFolder(j.path)
}

// copyTo writes the lines that count, durably, and returns their size.
func (j *Journal) copyTo(file *os.File) (size int, err error) {
	for _, line := range j.current {
		n, err := file.Write(line)
		size += n
		if err != nil {
			return size, err
		}
	}
	return size, file.Sync()
}

// reopen goes on with the file that is there, as far as its lines are whole.
func (j *Journal) reopen(whole int) (err error) {
	if j.file, err = os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	j.size = whole
	return j.file.Truncate(int64(whole))
}

const repairEvery = 5 * time.Second

// noteRefusal logs the first refusal until the file has been rewritten.
func (j *Journal) noteRefusal(err error) {
	if j.isBehind {
		return
	}
	logError(err)
	j.isBehind = true
	time.AfterFunc(repairEvery, j.repair)
}

// repair rewrites the file as soon as the disk takes it. The next line may be hours away.
func (j *Journal) repair() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.isBehind && j.rewrite() != nil {
		time.AfterFunc(repairEvery, j.repair)
	}
}

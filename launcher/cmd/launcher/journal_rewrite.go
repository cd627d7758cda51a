package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// A journal that has grown by so much, and to twice of what counted, is rewritten with what still counts: when no run is due, as whatever starts then would wait for
// the disk, and else at the latest when it is so large.
const (
	rewriteBytes     = 4 << 20
	mostRewriteBytes = 16 * rewriteBytes
)

func (j *journal) isLarge() bool {
	grown := j.size - j.kept
	if grown <= mostRewriteBytes && j.isBusy() {
		return false
	}
	return grown > max(rewriteBytes, j.kept) || len(j.live) == 0 && j.size > rewriteBytes/64
}

// rewrite puts a file with what still counts in the place of the old one, durably.
func (j *journal) rewrite() error {
	file, err := os.OpenFile(j.path+".new", os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	size, err := j.copyTo(file)
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		// Half a file only takes room.
		return errors.Join(err, file.Close(), os.Remove(j.path+".new"))
	}
	old := j.file
	j.file, j.size, j.kept, j.isBehind = file, size, size, false
	if old != nil {
		// A sync that still uses it is let finish.
		_ = old.Close()
	}
	folder, err := os.Open(filepath.Dir(j.path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// copyTo writes what still counts, durably, and answers how much that is.
func (j *journal) copyTo(file *os.File) (size int, err error) {
	for _, line := range j.live {
		n, err := file.Write(line)
		size += n
		if err != nil {
			return size, err
		}
	}
	return size, file.Sync()
}

// reopen goes on with the file that is there, as far as its lines are whole.
func (j *journal) reopen(whole int) (err error) {
	if j.file, err = os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	j.size = whole
	return j.file.Truncate(int64(whole))
}

const repairEvery = 5 * time.Second

// refused complains once, until the file has been rewritten.
func (j *journal) refused(err error) {
	if j.isBehind {
		return
	}
	complain(err)
	j.isBehind = true
	time.AfterFunc(repairEvery, j.repair)
}

// repair is tried until the disk takes it: it may be hours until there is another line.
func (j *journal) repair() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.isBehind && j.rewrite() != nil {
		time.AfterFunc(repairEvery, j.repair)
	}
}

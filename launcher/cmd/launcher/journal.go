package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"
)

// journal is what must survive the launcher, one JSON line each, appended: which process a run is, how it ended, and that the
// agent has taken that over.
type journal struct {
	path string
	// work is rung when something waits for the disk.
	work chan struct{}
	// isBusy: runs are due.
	isBusy func() bool

	mu   sync.Mutex
	file *os.File
	size int
	// kept is its size after the last rewrite.
	kept int
	// isBehind: the disk has refused something that counts. As soon as it takes lines again the file is rewritten.
	isBehind bool

	live   map[string][]byte
	ending []endingLine
}

type endingLine struct {
	id   string
	line []byte
	done func()
}

// openJournal reads what an earlier launcher left; a last line that a crash cut short is none. On a full disk it goes on with the file as
// it is: that launcher's runs must not live on, and what they wrote takes the room.
func openJournal(path string) (*journal, error) {
	j := &journal{
		path: path, work: make(chan struct{}, 1), live: map[string][]byte{}, isBusy: func() bool { return false },
	}
	left, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	whole := bytes.LastIndexByte(left, '\n') + 1
	if len(left) > whole {
		left = append(left, '\n')
	}
	for line := range bytes.Lines(left) {
		j.apply(bytes.Clone(line))
	}
	if err := j.rewrite(); err != nil {
		j.refused(err)
	}
	if j.file == nil {
		return j, j.reopen(whole)
	}
	return j, nil
}

// lines are what counts: started without an end, or ended and not forgotten.
func (j *journal) lines() [][]byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := make([][]byte, 0, len(j.live))
	for _, line := range j.live {
		lines = append(lines, line)
	}
	return lines
}

// armed survives the end of this process when it returns.
func (j *journal) armed(lines []armedLine) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []byte
	for _, line := range lines {
		encoded := encodeLine(line)
		j.live[line.ID] = encoded
		all = append(all, encoded...)
	}
	j.write(all)
}

// started survives the end of this process when it returns.
func (j *journal) started(line startedLine) {
	encoded := encodeLine(line)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.live[line.ID] = encoded
	j.write(encoded)
}

// ended calls `done`, from another goroutine, when the line survives a power cut; lines that wait at the same time share one
// sync. A full disk must not keep a run's end from being told: then it is called nevertheless.
func (j *journal) ended(id string, line endedLine, done func()) {
	ending := endingLine{id, encodeLine(line), done}
	j.mu.Lock()
	j.ending = append(j.ending, ending)
	j.mu.Unlock()
	select {
	case j.work <- struct{}{}:
	default:
	}
}

func (j *journal) forgotten(ids []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, id := range ids {
		delete(j.live, id)
	}
	j.write(encodeLine(forgottenLine{"forgotten", ids}))
	if j.isLarge() {
		if err := j.rewrite(); err != nil {
			complain(err)
		}
	}
}

// In a burst of ends syncs are no closer than this, and while runs are due no closer than that: each costs time that the starts need.
const (
	syncEvery     = 20 * time.Millisecond
	syncBusyEvery = 100 * time.Millisecond
)

// sync writes and syncs what `ended` was given, for ever.
func (j *journal) sync() {
	var last time.Time
	for range j.work {
		pause := syncEvery
		if j.isBusy() {
			pause = syncBusyEvery
		}
		time.Sleep(pause - time.Since(last))
		j.mu.Lock()
		batch := j.ending
		j.ending = nil
		var all []byte
		for _, each := range batch {
			j.live[each.id] = each.line
			all = append(all, each.line...)
		}
		j.write(all)
		file := j.file
		j.mu.Unlock()
		if err := datasync(file); err != nil {
			complain(err)
		}
		last = time.Now()
		for _, each := range batch {
			each.done()
		}
	}
}

// write takes lines of which what counts is in `live` already.
func (j *journal) write(lines []byte) {
	if _, err := j.file.Write(lines); err != nil {
		j.refused(err)
		// The next line must not stand behind a part of this one.
		_ = j.file.Truncate(int64(j.size))
		return
	}
	j.size += len(lines)
	if j.isBehind && !j.isBusy() {
		// If that is refused it is tried with the next line.
		_ = j.rewrite()
	}
}

// apply takes a line that an earlier launcher wrote.
func (j *journal) apply(line []byte) {
	var entry struct {
		Type   string   `json:"type"`
		ID     string   `json:"id"`
		IDs    []string `json:"ids"`
		Record struct {
			ID string `json:"id"`
		} `json:"record"`
	}
	if json.Unmarshal(line, &entry) != nil {
		return
	}
	switch entry.Type {
	case "armed", "started":
		j.live[entry.ID] = line
	case "ended":
		j.live[entry.Record.ID] = line
	case "forgotten":
		for _, id := range entry.IDs {
			delete(j.live, id)
		}
	}
}

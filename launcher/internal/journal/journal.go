// Package journal keeps what must survive the launcher, one line of JSON each, appended: which process a run is, how it ended, and
// that the agent has taken over the record.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
)

// Journal may be used from any goroutine.
type Journal struct {
	// IsBusy is true while runs are due: the disk should then be left to the starts. Set it before the first use.
	IsBusy func() bool

	path string
	// work is sent to when ends wait for the disk.
	work chan struct{}

	mu   sync.Mutex
	file *os.File
	size int
	// keptSize is the size after the last rewrite.
	keptSize int
	// isBehind: the disk refused a line that counts. The file is rewritten as soon as the disk takes lines again.
	isBehind bool

	// current has the lines that count, by run.
	current map[string][]byte
	// ending waits for Work.
	ending []endingRun
}

type endingRun struct {
	id   string
	line []byte
	done func()
}

// Open reads what an earlier launcher left. A last line that a crash cut short is dropped. On a full disk the journal goes on with
// the file as it is: the earlier launcher's runs must be killed, and their output may be what fills the disk.
func Open(path string) (*Journal, error) {
	j := &Journal{
		path: path, work: make(chan struct{}, 1), current: map[string][]byte{}, IsBusy: func() bool { return false },
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
		j.noteRefusal(err)
	}
	if j.file == nil {
		return j, j.reopen(whole)
	}
	return j, nil
}

// Lines returns the lines that count: runs that were armed or started and have not ended, or that ended and are not forgotten.
func (j *Journal) Lines() [][]byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := make([][]byte, 0, len(j.current))
	for _, line := range j.current {
		lines = append(lines, line)
	}
	return lines
}

// Armed writes lines that survive this process when it returns.
func (j *Journal) Armed(lines []Armed) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []byte
	for _, line := range lines {
		line.Type = "armed"
		encoded := encode(line)
		j.current[line.ID] = encoded
		all = append(all, encoded...)
	}
	j.write(all)
}

// Started writes a line that survives this process when it returns.
func (j *Journal) Started(line Started) {
	line.Type = "started"
	encoded := encode(line)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.current[line.ID] = encoded
	j.write(encoded)
}

// Ended calls `done`, from another goroutine, when the line survives a power cut. Lines that wait at the same time share one sync.
// If the disk refuses the line, `done` is called all the same: a full disk must not keep a run's end from the agent.
func (j *Journal) Ended(id string, line Ended, done func()) {
	line.Type = "ended"
	ending := endingRun{id, encode(line), done}
	j.mu.Lock()
	j.ending = append(j.ending, ending)
	j.mu.Unlock()
	select {
	case j.work <- struct{}{}:
	default:
	}
}

// Forgotten drops the lines of runs.
func (j *Journal) Forgotten(ids []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, id := range ids {
		delete(j.current, id)
	}
	j.write(encode(forgotten{"forgotten", ids}))
	if j.isLarge() {
		if err := j.rewrite(); err != nil {
			logError(err)
		}
	}
}

// write appends lines. What counts of them is in `current` already.
func (j *Journal) write(lines []byte) {
	if _, err := j.file.Write(lines); err != nil {
		j.noteRefusal(err)
		// The next line must not follow a part of this one.
		_ = j.file.Truncate(int64(j.size))
		return
	}
	j.size += len(lines)
	if j.isBehind && !j.IsBusy() {
		// If this fails, the next line tries it again.
		_ = j.rewrite()
	}
}

// apply reads a line of an earlier launcher.
func (j *Journal) apply(line []byte) {
	var read struct {
		Type   string   `json:"type"`
		ID     string   `json:"id"`
		IDs    []string `json:"ids"`
		Record struct {
			ID string `json:"id"`
		} `json:"record"`
	}
	if json.Unmarshal(line, &read) != nil {
		return
	}
	switch read.Type {
	case "armed", "started":
		j.current[read.ID] = line
	case "ended":
		j.current[read.Record.ID] = line
	case "forgotten":
		for _, id := range read.IDs {
			delete(j.current, id)
		}
	}
}

package main

import (
	"encoding/json"
	"os"

	"golang.org/x/sys/unix"
)

// armedLine is written before the start: a launcher that dies between the start of a process and its startedLine leaves the mark,
// and the notes, to find that process by. Such a run is killed and not told of: nobody knows that it ran, nor does it any more.
type armedLine struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Boot string `json:"boot"`
	Mark string `json:"mark"`
}

// startedLine says which process a run is, to find it again. launcher/node writes and reads the same.
type startedLine struct {
	Type      string  `json:"type"`
	ID        string  `json:"id"`
	Session   string  `json:"session"`
	At        float64 `json:"at"`
	StartedAt int64   `json:"startedAt"`
	Fenced    bool    `json:"fenced"`
	Pid       int     `json:"pid"`
	// Ticks is the process's start in kernel ticks since boot; null if it was not to be had.
	Ticks  *uint64           `json:"ticks"`
	Boot   string            `json:"boot"`
	Mark   string            `json:"mark,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Cgroup string            `json:"cgroup,omitempty"`
}

type endedLine struct {
	Type   string          `json:"type"`
	At     float64         `json:"at"`
	Fenced bool            `json:"fenced"`
	Record json.RawMessage `json:"record"`
}

func encodeRecord(record *exitRecord) json.RawMessage {
	encoded, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	return encoded
}

// journalled is the record without what the command said: that lies in its spool, which goes when the run is forgotten; lines of
// the journal stay longer.
func (r *exitRecord) journalled() json.RawMessage {
	silent := *r
	silent.Tail = ""
	return encodeRecord(&silent)
}

func (r *exitRecord) hasOutput() bool {
	return r.Stdout.Bytes+r.Stdout.Cut+r.Stderr.Bytes+r.Stderr.Cut > 0
}

func (r *exitRecord) kept() int64 { return r.Stdout.Bytes + r.Stderr.Bytes }

type forgottenLine struct {
	Type string   `json:"type"`
	IDs  []string `json:"ids"`
}

func encodeLine(value any) []byte {
	line, err := json.Marshal(value)
	if err != nil {
		complain(err)
	}
	return append(line, '\n')
}

func datasync(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var syncErr error
	if err := raw.Control(func(fd uintptr) { syncErr = unix.Fdatasync(int(fd)) }); err != nil {
		return nil // Replaced meanwhile by one that has been synced.
	}
	return os.NewSyscallError("fdatasync", syncErr)
}

func complain(err error) { logEvent(levelError, "journal.unwritable", fields{"error": err}) }

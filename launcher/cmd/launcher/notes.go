package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Notes are a file in which a run that may leave some tells, a line each,
//
//	cgroup PATH   what is in that group, or below, belongs to the run's tree
//	told TEXT     goes into its exit record
//
// They lie in a folder beside the spools, under the same names, and go with them.

const (
	// notesVariable tells the command where its notes are.
	notesVariable = "SHELLCRON_NOTES"
	longestNotes  = 64 << 10
	// sparedFor: whoever runs something elsewhere may say so long after that was killed what it still said, and how it ended.
	sparedFor = 2 * time.Second
	// No other group may be named: a note must not kill the machine.
	notedPrefix = "shellcron-"
)

func makeNotes(path string) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// readNotes is of a path, or "": there are none. A last line that is not whole is none.
func readNotes(path string) (cgroups []string, told *string) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if err != nil || len(content) > longestNotes {
		return nil, nil
	}
	lines := strings.Split(string(content), "\n")
	for _, line := range lines[:len(lines)-1] {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "cgroup":
			if filepath.IsAbs(rest) && strings.HasPrefix(filepath.Base(rest), notedPrefix) {
				cgroups = append(cgroups, rest)
			}
		case "told":
			told = &rest
		}
	}
	return cgroups, told
}

// noted are the control groups that the run has named so far.
func (r *root) noted() []string {
	if named := r.named.Load(); named != nil {
		return *named
	}
	cgroups, _ := readNotes(r.notes)
	return cgroups
}

// note is for a run that writes no more notes: their file may go before its tree is dead.
func (r *root) note() (told *string) {
	cgroups, told := readNotes(r.notes)
	r.named.Store(&cgroups)
	return told
}

// pidsInGroups are those in the run's own control groups, and in those that it named.
func (r *root) pidsInGroups() []int {
	pids := r.group.pids()
	for _, folder := range r.noted() {
		pids = append(pids, pidsIn(folder)...)
	}
	return pids
}

// clearNoted ends what is left in the groups that the run named. It is for after the command's end, when nobody makes more of them, and
// before that is told: then no later launcher has to find them.
func (r *root) clearNoted() {
	for until := time.Now().Add(clearFor); ; time.Sleep(clearStep) {
		r.killNoted()
		if r.removeNoted() || time.Now().After(until) {
			return
		}
	}
}

// spare is for a command that was asked to end before: it starts nothing any more.
func (r *root) spare() {
	until := time.Now().Add(sparedFor)
	r.sparedUntil.Store(&until)
}

func (r *root) isSpared(at time.Time) bool {
	until := r.sparedUntil.Load()
	return until != nil && at.Before(*until)
}

func (r *root) killNoted() {
	for _, folder := range r.noted() {
		killGroup(folder)
	}
}

// removeNoted is for when nothing is left in there: who has just died may keep a group for a moment. Then it is false.
func (r *root) removeNoted() bool {
	isGone := true
	for _, folder := range r.noted() {
		isGone = removeGroup(folder) && isGone
	}
	return isGone
}

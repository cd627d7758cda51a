//go:build linux

package main

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"unicode/utf8"
)

// notes is the file in which a run tells the launcher about itself (../../protocol.md). Without a path, nothing is written.
type notes struct {
	path string
	mu   sync.Mutex
}

// told is how the run ended, as far as the exit code does not say it. The agent reads it (agent/runs/container-command.ts).
type told struct {
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	Oom     bool   `json:"oom,omitempty"`
	code    int
}

const maxMessage = 700

func (n *notes) tell(what told) error {
	what.Message = shorten(what.Message, maxMessage)
	encoded, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return n.append("told " + string(encoded) + "\n")
}

// nameGroups returns when the lines are on the disk.
func (n *notes) nameGroups(groups []string) error {
	var lines strings.Builder
	for _, group := range groups {
		lines.WriteString("cgroup " + group + "\n")
	}
	return n.append(lines.String())
}

func (n *notes) append(lines string) error {
	if n.path == "" {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	file, err := os.OpenFile(n.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString(lines); err != nil {
		return err
	}
	return file.Sync()
}

func shorten(text string, length int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= length {
		return text
	}
	for length > 0 && !utf8.RuneStart(text[length]) {
		length--
	}
	return text[:length] + "…"
}

package journal

import (
	"encoding/json"
	"log/slog"
)

// Armed is written before the start. If a launcher dies after it started a process and before it wrote Started, the next launcher
// finds the process by the mark or the notes. It kills such a run and reports nothing: nobody was told that the run started.
type Armed struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Boot string `json:"boot"`
	Mark string `json:"mark"`
}

// Started says which process a run is.
type Started struct {
	Type      string  `json:"type"`
	ID        string  `json:"id"`
	Session   string  `json:"session"`
	At        float64 `json:"at"`
	StartedAt int64   `json:"startedAt"`
	Fenced    bool    `json:"fenced"`
	Pid       int     `json:"pid"`
	// Ticks is the process's start, in the units of package proc; null if unknown.
	Ticks  *uint64           `json:"ticks"`
	Boot   string            `json:"boot"`
	Mark   string            `json:"mark,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Cgroup string            `json:"cgroup,omitempty"`
}

// Ended has the exit record without its tail.
type Ended struct {
	Type   string          `json:"type"`
	At     float64         `json:"at"`
	Fenced bool            `json:"fenced"`
	Record json.RawMessage `json:"record"`
}

type forgotten struct {
	Type string   `json:"type"`
	IDs  []string `json:"ids"`
}

func encode(line any) []byte {
	encoded, err := json.Marshal(line)
	if err != nil {
		logError(err)
	}
	return append(encoded, '\n')
}

func logError(err error) { slog.Error("journal.unwritable", "error", err) }

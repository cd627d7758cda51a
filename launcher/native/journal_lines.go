package main

import (
	"encoding/json"
)

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

type forgottenLine struct {
	Type string   `json:"type"`
	IDs  []string `json:"ids"`
}

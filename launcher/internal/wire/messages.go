// Package wire is the protocol between agent and launcher, as the launcher sees it. ../../protocol.md defines it;
// ../../testdata/messages.json has an example of every message.
package wire

import "encoding/json"

// Version is the protocol's.
const Version = 1

// Message holds every field that an agent may send, except those of a run to arm. A field of the wrong type counts as missing.
type Message struct {
	Type string `json:"type"`
	// hello. The launcher treats all agents alike.
	Version        float64 `json:"version"`
	Implementation string  `json:"implementation"`
	Pid            float64 `json:"pid"`
	// arm
	Runs []json.RawMessage `json:"runs"`
	// cancel, kill, forget
	IDs    []string `json:"ids"`
	Reason *string  `json:"reason"`
	// fence
	Session string  `json:"session"`
	Until   float64 `json:"until"`
	// runs, read
	Seq    float64 `json:"seq"`
	ID     string  `json:"id"`
	Offset float64 `json:"offset"`
	Length float64 `json:"length"`
	Stream string  `json:"stream"`
	WaitMs float64 `json:"waitMs"`
	// stop
	WhenIdle *bool `json:"whenIdle"`
}

// Hello is the launcher's answer to an agent's hello.
type Hello struct {
	Type           string   `json:"type"`
	Version        int      `json:"version"`
	Implementation string   `json:"implementation"`
	Instance       string   `json:"instance"`
	Pid            int      `json:"pid"`
	Boottime       float64  `json:"boottime"`
	Features       []string `json:"features"`
	Build          string   `json:"build,omitempty"`
}

// Event is `armed`, `unknown` or `replaced`.
type Event struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
}

// Refused says why a run was not armed.
type Refused struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Started says that a run's command runs.
type Started struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	At   int64  `json:"at"`
	Pid  int    `json:"pid"`
}

// Ended has the encoded ExitRecord.
type Ended struct {
	Type   string          `json:"type"`
	ID     string          `json:"id"`
	Record json.RawMessage `json:"record"`
}

// ReadAnswer answers `read`. It is encoded by its own method.
type ReadAnswer struct {
	Seq  float64
	Data []byte
	Next int64
	End  bool
	// Error says why the spool cannot be read; then there is no data.
	Error string
}

// RunsAnswer is a part of the answer to `runs`.
type RunsAnswer struct {
	Type string            `json:"type"`
	Seq  float64           `json:"seq"`
	Runs []json.RawMessage `json:"runs"`
	More bool              `json:"more"`
}

// RunInfo is one run in a RunsAnswer.
type RunInfo struct {
	ID        string            `json:"id"`
	Session   string            `json:"session"`
	State     string            `json:"state"`
	At        float64           `json:"at"`
	Fenced    bool              `json:"fenced"`
	StartedAt int64             `json:"startedAt,omitempty"`
	Pid       int               `json:"pid,omitempty"`
	Record    json.RawMessage   `json:"record,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
}

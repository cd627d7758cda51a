package main

import "encoding/json"

// The wire protocol as this launcher sees it; ../protocol.md is the document.

const protocolVersion = 1

// message holds every field that an agent may send, except those of a run to arm. A field of the wrong type counts as missing.
type message struct {
	Type string `json:"type"`
	// hello: for logs and debuggers only; the launcher treats all agents alike.
	Version        float64 `json:"version"`
	Implementation string  `json:"implementation"`
	Pid            float64 `json:"pid"`

	Runs     []json.RawMessage `json:"runs"`
	IDs      []string          `json:"ids"`
	Reason   *string           `json:"reason"`
	Session  string            `json:"session"`
	Until    float64           `json:"until"`
	Seq      float64           `json:"seq"`
	ID       string            `json:"id"`
	Offset   float64           `json:"offset"`
	Length   float64           `json:"length"`
	Stream   string            `json:"stream"`
	WaitMs   float64           `json:"waitMs"`
	WhenIdle *bool             `json:"whenIdle"`
}

type helloMessage struct {
	Type           string   `json:"type"`
	Version        int      `json:"version"`
	Implementation string   `json:"implementation"`
	Instance       string   `json:"instance"`
	Pid            int      `json:"pid"`
	Boottime       float64  `json:"boottime"`
	Features       []string `json:"features"`
	Build          string   `json:"build,omitempty"`
}

// event is `armed`, `unknown` and `replaced`, which say no more than this.
type event struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
}

type refusedEvent struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

type startedEvent struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	At   int64  `json:"at"`
	Pid  int    `json:"pid"`
}

type endedEvent struct {
	Type   string          `json:"type"`
	ID     string          `json:"id"`
	Record json.RawMessage `json:"record"`
}

// readAnswer is encoded by its own method: its data may be large.
type readAnswer struct {
	Seq  float64
	Data []byte
	Next int64
	End  bool
	// Error says why the spool cannot be read; there is no data then.
	Error string
}

type runsAnswer struct {
	Type string            `json:"type"`
	Seq  float64           `json:"seq"`
	Runs []json.RawMessage `json:"runs"`
	More bool              `json:"more"`
}

type runInfo struct {
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

// cause is why a run ended.
type cause struct {
	Kind    string  `json:"kind"`
	Code    *int    `json:"code,omitempty"`
	Signal  *string `json:"signal,omitempty"`
	Reason  *string `json:"reason,omitempty"`
	Message *string `json:"message,omitempty"`
}

func killedBecause(reason string) cause { return cause{Kind: "killed", Reason: &reason} }

func lostBecause(reason string) cause { return cause{Kind: "lost", Reason: &reason} }

type streamCount struct {
	Bytes int64 `json:"bytes"`
	Cut   int64 `json:"cut"`
}

// written is what became of a run's output.
type written struct {
	Stdout     streamCount `json:"stdout"`
	Stderr     streamCount `json:"stderr"`
	Tail       string      `json:"tail"`
	SpoolError string      `json:"spoolError,omitempty"`
}

// rusage is of the process and those it waited for.
type rusage struct {
	UserMs      int64 `json:"userMs"`
	SystemMs    int64 `json:"systemMs"`
	MaxRssBytes int64 `json:"maxRssBytes"`
}

type exitRecord struct {
	ID        string  `json:"id"`
	Session   string  `json:"session"`
	Cause     cause   `json:"cause"`
	Code      *int    `json:"code"`
	Signal    *string `json:"signal"`
	StartedAt *int64  `json:"startedAt"`
	EndedAt   int64   `json:"endedAt"`
	written
	Rusage *rusage           `json:"rusage,omitempty"`
	Oom    *bool             `json:"oom,omitempty"`
	Told   *string           `json:"told,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

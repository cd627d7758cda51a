package wire

import "encoding/json"

// Cause is why a run ended.
type Cause struct {
	Kind    string  `json:"kind"`
	Code    *int    `json:"code,omitempty"`
	Signal  *string `json:"signal,omitempty"`
	Reason  *string `json:"reason,omitempty"`
	Message *string `json:"message,omitempty"`
}

// Killed is the cause of a run that an order, or the launcher's own end, killed.
func Killed(reason string) Cause { return Cause{Kind: "killed", Reason: &reason} }

// Lost is the cause of a run whose launcher or machine went down.
func Lost(reason string) Cause { return Cause{Kind: "lost", Reason: &reason} }

// StartFailed is the cause of a run whose command did not start.
func StartFailed(reason, message string) Cause {
	return Cause{Kind: "startFailed", Reason: &reason, Message: &message}
}

// StreamCount counts a stream's bytes: those in the spool, and those that were cut.
type StreamCount struct {
	Bytes int64 `json:"bytes"`
	Cut   int64 `json:"cut"`
}

// Written describes a run's output.
type Written struct {
	Stdout     StreamCount `json:"stdout"`
	Stderr     StreamCount `json:"stderr"`
	Tail       string      `json:"tail"`
	SpoolError string      `json:"spoolError,omitempty"`
}

// Leftovers are the processes that outlived the command.
type Leftovers struct {
	Count int `json:"count"`
	// Processes are the first of them, as `name (pid)`.
	Processes []string `json:"processes"`
	// Left: they go on. Otherwise they were ended.
	Left bool `json:"left,omitempty"`
}

// Rusage is of the command's process and the children that it waited for.
type Rusage struct {
	UserMs      int64 `json:"userMs"`
	SystemMs    int64 `json:"systemMs"`
	MaxRssBytes int64 `json:"maxRssBytes"`
}

// ExitRecord says how a run ended.
type ExitRecord struct {
	ID        string  `json:"id"`
	Session   string  `json:"session"`
	Cause     Cause   `json:"cause"`
	Code      *int    `json:"code"`
	Signal    *string `json:"signal"`
	StartedAt *int64  `json:"startedAt"`
	EndedAt   int64   `json:"endedAt"`
	Written
	Rusage *Rusage `json:"rusage,omitempty"`
	Oom    *bool   `json:"oom,omitempty"`
	// PidsRefused: a limit of processes kept the run from starting one.
	PidsRefused bool              `json:"pidsRefused,omitempty"`
	Leftovers   *Leftovers        `json:"leftovers,omitempty"`
	Told        *string           `json:"told,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// Encode returns the record as JSON.
func (r *ExitRecord) Encode() json.RawMessage {
	encoded, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return encoded
}

// EncodeWithoutTail leaves out what the command wrote. The journal must not hold it: a forgotten run's spool is removed at once,
// but its lines in the journal stay until the next rewrite.
func (r *ExitRecord) EncodeWithoutTail() json.RawMessage {
	silent := *r
	silent.Tail = ""
	return silent.Encode()
}

// HasOutput is true if the command wrote anything.
func (r *ExitRecord) HasOutput() bool {
	return r.Stdout.Bytes+r.Stdout.Cut+r.Stderr.Bytes+r.Stderr.Cut > 0
}

// SpooledBytes is how much output is in the spool.
func (r *ExitRecord) SpooledBytes() int64 { return r.Stdout.Bytes + r.Stderr.Bytes }

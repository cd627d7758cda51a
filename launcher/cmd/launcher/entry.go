package main

import (
	"encoding/json"
	"sync"
)

// entry is a run as the supervisor holds it: armed (with its order), then alive, then with its record. The supervisor's lock
// guards it.
type entry struct {
	id, session string
	at          float64
	fenced      bool
	labels      map[string]string
	arrival     uint64

	order   *arm     // nil in what has ended
	command *command // nil until it is prepared
	live    *run     // nil before its start and after its end
	// isStarting: a thread is about to start it; who wants its end meanwhile says so in `wanted`.
	isStarting bool
	wanted     *ending
	// isEnding: its end is decided, though it may not be on the disk yet: nothing may start or end it any more.
	isEnding bool
	// isGoing: it is being forgotten.
	isGoing bool
	record  json.RawMessage
	// kept is how many bytes of output the spool was given, once there is a record.
	kept    int64
	changed bell
}

// ending is what a run is to end with.
type ending struct {
	cause   cause
	graceMs float64
}

func newEntry(order *arm) *entry {
	return &entry{
		id: order.id, session: order.session, at: order.at, fenced: order.fenced, labels: order.labels, order: order,
	}
}

// want remembers an end that comes during the start: the first cause, the shortest grace.
func (e *entry) want(end ending) {
	if e.wanted == nil {
		e.wanted = &end
	} else {
		e.wanted.graceMs = min(e.wanted.graceMs, end.graceMs)
	}
}

// latest is what is to be told of it to an agent that knows nothing yet.
func (e *entry) latest() any {
	switch {
	case e.record != nil:
		return endedEvent{"ended", e.id, e.record}
	case e.live != nil:
		return startedEvent{"started", e.id, e.live.startedAt, e.live.root.pid}
	default:
		return event{"armed", e.id}
	}
}

func (e *entry) info() runInfo {
	info := runInfo{ID: e.id, Session: e.session, State: "armed", At: e.at, Fenced: e.fenced, Labels: e.labels}
	if e.record != nil {
		info.State, info.Record = "ended", e.record
	} else if e.live != nil {
		info.State, info.StartedAt, info.Pid = "running", e.live.startedAt, e.live.root.pid
	}
	return info
}

// bell wakes all who wait for a change.
type bell struct {
	mu sync.Mutex
	ch chan struct{}
}

// next is closed by the next ring.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

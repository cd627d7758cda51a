package supervise

import (
	"encoding/json"

	"shellcron.dev/launcher/internal/start"
	"shellcron.dev/launcher/internal/wire"
)

// run is first armed, with its order; then it has an execution; then its record. The supervisor's lock guards it.
type run struct {
	id, session string
	at          float64
	fenced      bool
	labels      map[string]string
	arrival     uint64

	order     *wire.Arm      // nil once it has ended
	command   *start.Command // nil until it is prepared
	execution *execution     // nil before the start and after the end
	// isStarting: a thread is starting the command. An end that is asked for meanwhile is in `pendingEnd`.
	isStarting bool
	pendingEnd *ending
	// isEnding: the end is decided, though it may not be on the disk yet. Nothing starts or ends the run any more.
	isEnding     bool
	isForgetting bool
	// record is nil until the end is on the disk. Then the spool has `spooledBytes` of output.
	record       json.RawMessage
	spooledBytes int64
	// changed notifies readers of new output, and of the end.
	changed notifier
}

// ending is how a run is to be ended.
type ending struct {
	cause   wire.Cause
	graceMs float64
}

func newRun(order *wire.Arm) *run {
	return &run{
		id: order.ID, session: order.Session, at: order.At, fenced: order.Fenced, labels: order.Labels, order: order,
	}
}

// isArmed is true before the start.
func (r *run) isArmed() bool { return r.execution == nil && !r.isStarting }

// endAfterStart notes an end that is asked for during the start. The first cause and the shortest grace win.
func (r *run) endAfterStart(how ending) {
	if r.pendingEnd == nil {
		r.pendingEnd = &how
	} else {
		r.pendingEnd.graceMs = min(r.pendingEnd.graceMs, how.graceMs)
	}
}

// latestEvent is what an agent must learn that knows nothing of the run.
func (r *run) latestEvent() any {
	switch {
	case r.record != nil:
		return wire.Ended{Type: "ended", ID: r.id, Record: r.record}
	case r.execution != nil:
		return wire.Started{Type: "started", ID: r.id, At: r.execution.startedAt, Pid: r.execution.tree.Pid()}
	default:
		return wire.Event{Type: "armed", ID: r.id}
	}
}

func (r *run) info() wire.RunInfo {
	info := wire.RunInfo{ID: r.id, Session: r.session, State: "armed", At: r.at, Fenced: r.fenced, Labels: r.labels}
	if r.record != nil {
		info.State, info.Record = "ended", r.record
	} else if r.execution != nil {
		info.State, info.StartedAt, info.Pid = "running", r.execution.startedAt, r.execution.tree.Pid()
	}
	return info
}

package supervise

import (
	"log/slog"
	"runtime"
	"sync"
	"time"

	"shellcron.dev/launcher/internal/crash"
	"shellcron.dev/launcher/internal/start"
)

const (
	// Runs are prepared this long before their instant.
	prepareAheadMs = 2_000
	// A thread wakes this long before a run's instant, and then polls the clock: waking up takes about as long on an idle processor.
	wakeAheadMs = 1
	// MaxThreads bounds the threads. A start mostly waits for the kernel, so a thread more than processors uses what one leaves idle.
	MaxThreads = 4
	// A start that takes longer than stuckAfter hangs, as in a working directory on a dead file system. Another thread takes over …
	stuckAfter = time.Second
	// … this many times.
	maxExtraThreads = 50
)

// starter prepares runs ahead, and starts them at their instant, in a few threads.
type starter struct {
	supervisor   *Supervisor
	prepare, due *dueQueue
	// asRoot takes runs that are or may become root. asUser takes all others, in threads that have given up gaining privileges.
	asRoot, asUser   chan *run
	startUserThreads sync.Once
	// stuckTimer and extraThreads belong to the due queue's goroutine.
	stuckTimer   *time.Timer
	extraThreads int
}

func newStarter(s *Supervisor) (*starter, error) {
	st := &starter{supervisor: s, asRoot: make(chan *run), asUser: make(chan *run), stuckTimer: time.NewTimer(0)}
	var err error
	if st.prepare, err = newDueQueue(st.prepareRun); err != nil {
		return nil, err
	}
	st.due, err = newDueQueue(st.dispatch)
	return st, err
}

func threads() int { return min(runtime.NumCPU()+1, MaxThreads) }

func (st *starter) work() {
	crash.Go(st.prepare.work)
	crash.Go(st.due.work)
	for range threads() {
		crash.Go(st.startAsRoot)
	}
}

func (st *starter) startAsRoot() {
	for r := range st.asRoot {
		st.start(r)
	}
}

// startAsUser keeps its thread: what the thread gave up is inherited by what it starts, and cannot be taken back.
func (st *starter) startAsUser() {
	runtime.LockOSThread()
	if err := start.RestrictThread(); err != nil {
		panic(err)
	}
	for r := range st.asUser {
		st.start(r)
	}
}

func (st *starter) add(admitted []*run) {
	for _, r := range admitted {
		st.prepare.add(r, r.at-prepareAheadMs)
	}
}

// prepareRun does not wait for a name service.
func (st *starter) prepareRun(r *run) {
	s := st.supervisor
	s.mu.Lock()
	order := r.order
	s.mu.Unlock()
	if order == nil {
		return
	}
	prepare := func() {
		command := s.preparer.Prepare(order)
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.isEnding {
			command.Release()
			return
		}
		r.command = command
		st.due.add(r, r.at-wakeAheadMs)
	}
	if start.NeedsNameService(order.User, order.Group) {
		crash.Go(prepare)
	} else {
		prepare()
	}
}

func (st *starter) dispatch(r *run) {
	s := st.supervisor
	s.mu.Lock()
	command := r.command
	s.mu.Unlock()
	if command == nil {
		return
	}
	if command.MayBeRoot() {
		st.give(r, st.asRoot, st.startAsRoot)
		return
	}
	st.startUserThreads.Do(func() {
		for range threads() {
			crash.Go(st.startAsUser)
		}
	})
	st.give(r, st.asUser, st.startAsUser)
}

// give waits for a free thread, or adds one.
func (st *starter) give(r *run, to chan<- *run, work func()) {
	st.stuckTimer.Reset(stuckAfter)
	select {
	case to <- r:
		return
	case <-st.stuckTimer.C:
	}
	if st.extraThreads++; st.extraThreads <= maxExtraThreads {
		slog.Warn("start.slow", "run", r.id)
		crash.Go(work)
	}
	to <- r
}

func (st *starter) start(r *run) {
	if !pollUntil(r.at) {
		st.due.add(r, r.at-wakeAheadMs)
		return
	}
	st.supervisor.launch(r)
}

// pollUntil returns true at the instant, Unix ms. It returns false if the clock was set back and the instant is not near any more.
func pollUntil(at float64) bool {
	for {
		left := at - float64(time.Now().UnixMicro())/1000
		if left <= 0 || left > 2*wakeAheadMs {
			return left <= 0
		}
	}
}

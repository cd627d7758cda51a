package supervise

import (
	"container/heap"
	"math"
	"sync"

	"shellcron.dev/launcher/internal/clock"
)

// dueQueue calls `act` with each run at its instant, never earlier: the soonest first, and those of one instant in the order of their
// arrival.
type dueQueue struct {
	mu      sync.Mutex
	waiting dueHeap
	arrived uint64
	alarm   *clock.Alarm
	act     func(*run)
}

type dueItem struct {
	at      int64
	arrival uint64
	run     *run
}

func newDueQueue(act func(*run)) (*dueQueue, error) {
	alarm, err := clock.NewWallAlarm()
	return &dueQueue{alarm: alarm, act: act}, err
}

// add takes an instant in Unix ms.
func (q *dueQueue) add(r *run, at float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	instant := int64(math.Min(math.Max(math.Ceil(at), 0), math.MaxInt64/1e6))
	heap.Push(&q.waiting, dueItem{instant, q.arrived, r})
	if q.waiting[0].arrival == q.arrived {
		q.alarm.Set(float64(instant))
	}
	q.arrived++
}

// isBehind is true if a run is due and was not taken yet.
func (q *dueQueue) isBehind() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) > 0 && q.waiting[0].at <= clock.NowMs()
}

func (q *dueQueue) isBurst() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) >= burst && q.waiting[0].at <= clock.NowMs()
}

func (q *dueQueue) work() {
	for {
		if r := q.next(); r != nil {
			q.act(r)
		} else {
			q.alarm.Wait()
		}
	}
}

// next returns nil, and sets the alarm, if nothing is due.
func (q *dueQueue) next() *run {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.alarm.Set(math.Inf(1))
		return nil
	}
	if q.waiting[0].at > clock.NowMs() {
		q.alarm.Set(float64(q.waiting[0].at))
		return nil
	}
	return heap.Pop(&q.waiting).(dueItem).run
}

type dueHeap []dueItem

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].arrival < h[j].arrival
}
func (h dueHeap) Swap(i, j int)  { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(item any) { *h = append(*h, item.(dueItem)) }
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	item := (*h)[last]
	(*h)[last] = dueItem{}
	*h = (*h)[:last]
	return item
}

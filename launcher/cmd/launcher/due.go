package main

import (
	"container/heap"
	"math"
	"sync"

	"golang.org/x/sys/unix"
)

// dueQueue calls `act` with each entry at its instant, never before: soonest first, and of the same instant in the order of
// arrival.
type dueQueue struct {
	mu      sync.Mutex
	waiting dueHeap
	arrived uint64
	alarm   *alarm
	act     func(*entry)
}

type dueItem struct {
	at    int64
	n     uint64
	entry *entry
}

func newDueQueue(act func(*entry)) (*dueQueue, error) {
	alarm, err := newAlarm(unix.CLOCK_REALTIME)
	return &dueQueue{alarm: alarm, act: act}, err
}

// add takes an instant in Unix ms.
func (q *dueQueue) add(e *entry, at float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	instant := int64(math.Min(math.Max(math.Ceil(at), 0), math.MaxInt64/1e6))
	heap.Push(&q.waiting, dueItem{instant, q.arrived, e})
	if q.waiting[0].n == q.arrived {
		q.alarm.set(float64(instant))
	}
	q.arrived++
}

// isBehind: something is due and has not been taken yet.
func (q *dueQueue) isBehind() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) > 0 && q.waiting[0].at <= nowMs()
}

// So many that wait, the first of them overdue, are a crowd.
const crowd = 100

func (q *dueQueue) isCrowded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) >= crowd && q.waiting[0].at <= nowMs()
}

func (q *dueQueue) work() {
	for {
		if e := q.next(); e != nil {
			q.act(e)
		} else {
			q.alarm.wait()
		}
	}
}

// next is nil if nothing is due; the alarm is then set.
func (q *dueQueue) next() *entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.alarm.set(math.Inf(1))
		return nil
	}
	if q.waiting[0].at > nowMs() {
		q.alarm.set(float64(q.waiting[0].at))
		return nil
	}
	return heap.Pop(&q.waiting).(dueItem).entry
}

type dueHeap []dueItem

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].n < h[j].n
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

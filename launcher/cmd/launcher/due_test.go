package main

import (
	"slices"
	"testing"
	"time"
)

func TestEachComesAtItsInstantSoonestFirstAndOfTheSameInstantInOrder(t *testing.T) {
	type call struct {
		id string
		at time.Time
	}
	calls := make(chan call, 10)
	queue, err := newDueQueue(func(e *entry) { calls <- call{e.id, time.Now()} })
	if err != nil {
		t.Fatal(err)
	}
	go queue.work()
	soon := float64(nowMs()) + 60.5
	instants := map[string]float64{"past": -5, "early": soon, "late": soon + 30, "same": soon + 30, "never": soon + 1e15}
	for _, id := range []string{"never", "late", "same", "early", "past"} {
		queue.add(&entry{id: id}, instants[id])
	}
	var order []string
	for range 4 {
		next := <-calls
		order = append(order, next.id)
		if float64(next.at.UnixMicro())/1000 < instants[next.id] {
			t.Errorf("%s came early", next.id)
		}
	}
	if !slices.Equal(order, []string{"past", "early", "late", "same"}) {
		t.Fatal(order)
	}
}

func TestAThreadThatIsAwakeWaitsForTheInstantAndNoLongerWait(t *testing.T) {
	at := float64(nowMs() + awakeAheadMs)
	if !waitAwake(at) || float64(nowMs()) < at {
		t.Error("it did not wait for the instant")
	}
	if !waitAwake(at - 1000) {
		t.Error("it waited for what is past")
	}
	if waitAwake(float64(nowMs() + 60_000)) {
		t.Error("it takes an instant for reached that is a minute ahead: the clock was set back")
	}
}

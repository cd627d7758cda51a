package supervise

import (
	"slices"
	"testing"
	"time"

	"shellcron.dev/launcher/internal/clock"
)

func TestRunsAreDueAtTheirInstantsSoonestFirstAndThenInOrderOfArrival(t *testing.T) {
	type call struct {
		id string
		at time.Time
	}
	calls := make(chan call, 10)
	queue, err := newDueQueue(func(r *run) { calls <- call{r.id, time.Now()} })
	if err != nil {
		t.Fatal(err)
	}
	go queue.work()
	soon := float64(clock.NowMs()) + 60.5
	instants := map[string]float64{"past": -5, "early": soon, "late": soon + 30, "same": soon + 30, "never": soon + 1e15}
	for _, id := range []string{"never", "late", "same", "early", "past"} {
		queue.add(&run{id: id}, instants[id])
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

func TestPollingWaitsForANearInstantOnly(t *testing.T) {
	at := float64(clock.NowMs() + wakeAheadMs)
	if !pollUntil(at) || float64(clock.NowMs()) < at {
		t.Error("it did not wait for the instant")
	}
	if !pollUntil(at - 1000) {
		t.Error("it waited for an instant that is past")
	}
	if pollUntil(float64(clock.NowMs() + 60_000)) {
		t.Error("an instant a minute ahead counts as reached")
	}
}

package server

import (
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// connected returns a connection that holds events back for `hold`, and a function that reads from its other end.
func connected(t *testing.T, hold time.Duration) (c *connection, holding *atomic.Int64, received func(count int) string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	agent, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	holding = &atomic.Int64{}
	holding.Store(int64(hold))
	c = newConnection(socket, func() time.Duration { return time.Duration(holding.Load()) })
	go c.write()
	t.Cleanup(func() {
		c.end()
		_ = agent.Close()
		<-c.closed
	})
	return c, holding, func(count int) string {
		t.Helper()
		bytes := make([]byte, count)
		_ = agent.SetReadDeadline(time.Now().Add(10 * time.Second))
		for read := 0; read < count; {
			n, err := agent.Read(bytes[read:])
			if err != nil {
				t.Fatal(err)
			}
			read += n
		}
		return string(bytes)
	}
}

func TestAnEventLeavesAtOnceWhenNothingIsDue(t *testing.T) {
	c, _, received := connected(t, 0)
	c.report([]byte("a"))
	if got := received(1); got != "a" {
		t.Error(got)
	}
}

func TestAnEventIsHeldBackAndOutputOvertakesIt(t *testing.T) {
	c, holding, received := connected(t, time.Hour)
	c.report([]byte("a"))
	c.report([]byte("b"))
	c.answer([]byte("output "))
	if got := received(7); got != "output " {
		t.Errorf("first came %q", got)
	}
	holding.Store(0)
	if got := received(2); got != "ab" {
		t.Errorf("then came %q", got)
	}
}

func TestAnAnswerLeavesAtOnceAfterTheEventsThatWereHeldBack(t *testing.T) {
	c, _, received := connected(t, time.Hour)
	c.report([]byte("a"))
	c.send([]byte("hello"))
	if got := received(6); got != "ahello" {
		t.Error(got)
	}
}

func TestEventsLeaveWhenTheyWereHeldBackLongEnough(t *testing.T) {
	c, _, received := connected(t, 50*time.Millisecond)
	c.report([]byte("a"))
	c.report([]byte("b"))
	if got := received(2); got != "ab" {
		t.Error(got)
	}
}

func TestEventsThatAreHeldBackLeaveBeforeTheEnd(t *testing.T) {
	c, _, received := connected(t, time.Hour)
	c.report([]byte("a"))
	c.end()
	if got := received(1); got != "a" {
		t.Error(got)
	}
	<-c.closed
	c.report([]byte("b"))
}

func TestAnAgentThatDoesNotReadIsCutOffForEventsButNotForAnswers(t *testing.T) {
	c, _, received := connected(t, 0)
	half := make([]byte, maxUnreadBytes/2+1)
	for range 3 {
		c.send(half)
	}
	if got := received(3 * len(half)); len(got) != 3*len(half) {
		t.Error(len(got))
	}
	for range 3 {
		c.report(half)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isEnding {
		t.Error("it is not cut off")
	}
}

package supervise

import (
	"encoding/json"

	"shellcron.dev/launcher/internal/wire"
)

// runsPartBytes is the size of a part of the answer to `runs`, which must fit a frame.
const runsPartBytes = 4 << 20

// Connect makes a connection the agent: it gets `hello` and every run's latest event, and after that all that changes. It returns the
// connection that was the agent before, or nil.
func (s *Supervisor) Connect(agent Agent, hello func() wire.Hello) (older Agent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	older, s.agent = s.agent, agent
	agent.Send(hello())
	for _, r := range s.inOrder() {
		agent.Send(r.latestEvent())
	}
	return older
}

// Disconnect is for a connection that has ended.
func (s *Supervisor) Disconnect(agent Agent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agent == agent {
		s.agent = nil
	}
}

// Agent is the connection whose orders are obeyed, or nil.
func (s *Supervisor) Agent() Agent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.agent
}

// SendRuns answers `runs`.
func (s *Supervisor) SendRuns(seq float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agent == nil {
		return
	}
	part, size := []json.RawMessage{}, 0
	for _, r := range s.inOrder() {
		encoded := encodeInfo(r)
		if size += len(encoded); size > runsPartBytes && len(part) > 0 {
			s.agent.Send(wire.RunsAnswer{Type: "runs", Seq: seq, Runs: part, More: true})
			part, size = []json.RawMessage{}, len(encoded)
		}
		part = append(part, encoded)
	}
	s.agent.Send(wire.RunsAnswer{Type: "runs", Seq: seq, Runs: part})
}

// report sends an event of a run. The lock is held.
func (s *Supervisor) report(event any) {
	if s.agent != nil {
		s.agent.Report(event)
	}
}

func encodeInfo(r *run) json.RawMessage {
	encoded, err := json.Marshal(r.info())
	if err != nil {
		panic(err)
	}
	return encoded
}

package main

import (
	"encoding/json"
)

// A list travels in parts that fit a frame.
const runsPartBytes = 4 << 20

func (s *server) sendRuns(seq float64) {
	s.supervisor.mu.Lock()
	defer s.supervisor.mu.Unlock()
	part, size := []json.RawMessage{}, 0
	for _, e := range s.supervisor.inOrder() {
		encoded, err := json.Marshal(e.info())
		if err != nil {
			panic(err)
		}
		if size += len(encoded); size > runsPartBytes && len(part) > 0 {
			s.say(runsAnswer{"runs", seq, part, true})
			part, size = []json.RawMessage{}, len(encoded)
		}
		part = append(part, encoded)
	}
	s.say(runsAnswer{"runs", seq, part, false})
}

func (s *server) read(c *connection, said message) {
	answer, err := s.supervisor.answerRead(said)
	if err != nil {
		logEvent(levelError, "spool.unreadable", fields{"run": said.ID, "error": err})
		answer = readAnswer{Seq: said.Seq, Next: answer.Next, End: true, Error: err.Error()}
	}
	c.answer(answer.frame())
}

package server

import (
	"log/slog"

	"shellcron.dev/launcher/internal/crash"
	"shellcron.dev/launcher/internal/wire"
)

func (s *Server) obey(c *connection, said wire.Message) {
	switch said.Type {
	case "arm":
		s.supervisor.Arm(said.Runs)
	case "cancel":
		s.supervisor.Cancel(said.IDs)
	case "kill":
		reason := "Killed"
		if said.Reason != nil {
			reason = *said.Reason
		}
		s.supervisor.Kill(said.IDs, reason)
	case "fence":
		s.supervisor.Fence(said.Session, said.Until)
	case "runs":
		s.supervisor.SendRuns(said.Seq)
	case "forget":
		s.supervisor.Forget(said.IDs)
	case "read":
		crash.Go(func() { s.read(c, said) })
	case "stop":
		s.supervisor.Stop(said.WhenIdle == nil || *said.WhenIdle)
	}
}

func (s *Server) read(c *connection, said wire.Message) {
	answer, err := s.supervisor.Read(said)
	if err != nil {
		slog.Error("spool.unreadable", "run", said.ID, "error", err)
		answer = wire.ReadAnswer{Seq: said.Seq, Next: answer.Next, End: true, Error: err.Error()}
	}
	c.answer(answer.Encode())
}

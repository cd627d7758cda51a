package main

import (
	"log/slog"
	"os"
)

// logLevels are the numbers that the agent's log uses as well.
var logLevels = map[slog.Level]int{slog.LevelDebug: 20, slog.LevelInfo: 30, slog.LevelWarn: 40, slog.LevelError: 50}

// logToStderr makes slog write one JSON line for each event, with the fields of the agent's log.
func logToStderr() {
	handler := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
		switch {
		case len(groups) > 0:
		case attr.Key == slog.LevelKey:
			level, _ := attr.Value.Any().(slog.Level)
			attr.Value = slog.IntValue(logLevels[level])
		case attr.Key == slog.TimeKey:
			attr.Value = slog.TimeValue(attr.Value.Time().UTC())
		}
		return attr
	}})
	slog.SetDefault(slog.New(handler).With("component", "launcher", "pid", os.Getpid()))
}

package main

import (
	"encoding/json"
	"os"
	"time"
)

const (
	levelInfo  = 30
	levelWarn  = 40
	levelError = 50
)

type fields map[string]any

// logEvent writes one JSON line to stderr: events, not sentences.
func logEvent(level int, name string, more fields) {
	line := fields{"level": level, "time": time.Now().UTC(), "component": "launcher", "pid": os.Getpid(), "msg": name}
	for key, value := range more {
		if err, isError := value.(error); isError {
			value = err.Error()
		}
		line[key] = value
	}
	encoded, _ := json.Marshal(line)
	_, _ = os.Stderr.Write(append(encoded, '\n'))
}

package main

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
)

// arm is one run to start. Sizes are bytes, durations ms, `at` is Unix ms.
type arm struct {
	id, session string
	at          float64
	argv        []string
	env         map[string]string
	workingDir  string
	user, group string // "": the launcher's
	userEnv     bool
	deadlineMs  float64 // < 0: none
	graceMs     float64
	outputLimit float64
	stdin       []byte // nil: /dev/null
	tty         *windowSize
	resources   *resources
	fenced      bool
	notes       bool
	mark        string
	labels      map[string]string
}

type windowSize struct {
	Columns uint16 `json:"columns"`
	Rows    uint16 `json:"rows"`
}

// resources of a whole run; zero: no limit.
type resources struct {
	CPUMillis   float64 `json:"cpuMillis"`
	MemoryBytes float64 `json:"memoryBytes"`
	Pids        float64 `json:"pids"`
}

// refusal is why an order was not taken.
type refusal struct{ reason, message string }

type armField struct {
	name     string
	optional bool
	read     func(raw json.RawMessage, order *arm) bool
}

func text(to func(*arm) *string, mayBeEmpty bool) func(json.RawMessage, *arm) bool {
	return func(raw json.RawMessage, order *arm) bool {
		value, ok := parsed[string](raw)
		*to(order) = value
		return ok && isText(value) && (mayBeEmpty || value != "")
	}
}

func duration(to func(*arm) *float64) func(json.RawMessage, *arm) bool {
	return func(raw json.RawMessage, order *arm) bool {
		value, ok := parsed[float64](raw)
		*to(order) = value
		return ok && value >= 0
	}
}

func truth(to func(*arm) *bool) func(json.RawMessage, *arm) bool {
	return func(raw json.RawMessage, order *arm) (ok bool) {
		*to(order), ok = parsed[bool](raw)
		return ok
	}
}

var armFields = []armField{
	{"id", false, text(func(a *arm) *string { return &a.id }, false)},
	{"session", false, text(func(a *arm) *string { return &a.session }, false)},
	{"at", false, func(raw json.RawMessage, order *arm) (ok bool) {
		order.at, ok = parsed[float64](raw)
		return ok
	}},
	{"argv", false, func(raw json.RawMessage, order *arm) (ok bool) {
		order.argv, ok = parsed[[]string](raw)
		return ok && len(order.argv) > 0 && order.argv[0] != "" && all(order.argv, isText)
	}},
	{"env", false, func(raw json.RawMessage, order *arm) (ok bool) {
		order.env, ok = parsed[map[string]string](raw)
		for name := range order.env {
			ok = ok && name != "" && isText(name) && !strings.Contains(name, "=")
		}
		return ok && areTexts(order.env)
	}},
	{"workingDir", false, text(func(a *arm) *string { return &a.workingDir }, false)},
	{"user", true, text(func(a *arm) *string { return &a.user }, false)},
	{"group", true, text(func(a *arm) *string { return &a.group }, false)},
	{"userEnv", true, truth(func(a *arm) *bool { return &a.userEnv })},
	{"deadlineMs", true, duration(func(a *arm) *float64 { return &a.deadlineMs })},
	{"graceMs", false, duration(func(a *arm) *float64 { return &a.graceMs })},
	{"outputLimit", false, duration(func(a *arm) *float64 { return &a.outputLimit })},
	{"stdin", true, readStdin},
	{"tty", true, func(raw json.RawMessage, order *arm) (ok bool) {
		size, ok := parsed[windowSize](raw)
		order.tty = &size
		return ok && isObject(raw) && size.Columns > 0 && size.Rows > 0
	}},
	{"resources", true, func(raw json.RawMessage, order *arm) bool {
		limits, ok := parsed[resources](raw)
		order.resources = &limits
		return ok && isObject(raw) && limits.CPUMillis >= 0 && limits.MemoryBytes >= 0 && limits.Pids >= 0
	}},
	{"fenced", false, truth(func(a *arm) *bool { return &a.fenced })},
	{"notes", true, truth(func(a *arm) *bool { return &a.notes })},
	{"mark", true, func(raw json.RawMessage, order *arm) (ok bool) {
		order.mark, ok = parsed[string](raw)
		return ok && isText(order.mark) && strings.Index(order.mark, "=") > 0
	}},
	{"labels", true, func(raw json.RawMessage, order *arm) (ok bool) {
		order.labels, ok = parsed[map[string]string](raw)
		return ok && areTexts(order.labels)
	}},
}

// parseArm returns the order with its known fields, or why it is refused; the order's id is set in either case if it has one.
func parseArm(raw json.RawMessage) (*arm, *refusal) {
	order := &arm{deadlineMs: -1}
	fields, _ := parsed[map[string]json.RawMessage](raw)
	for _, field := range armFields {
		value, there := fields[field.name]
		if !there || string(value) == "null" {
			if field.optional {
				continue
			}
		} else if field.read(value, order) {
			continue
		}
		return order, &refusal{"Invalid", field.name + " is missing or malformed"}
	}
	return order, nil
}

func readStdin(raw json.RawMessage, order *arm) bool {
	encoded, ok := parsed[string](raw)
	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	order.stdin = append([]byte{}, data...)
	return ok && err == nil
}

// parsed is false for a value of another type.
func parsed[T any](raw json.RawMessage) (value T, ok bool) {
	return value, raw != nil && json.Unmarshal(raw, &value) == nil
}

// isText: what the kernel takes as one string.
func isText(value string) bool { return strings.IndexByte(value, 0) < 0 }

func isObject(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '{' }

func areTexts(values map[string]string) bool {
	for _, value := range values {
		if !isText(value) {
			return false
		}
	}
	return true
}

func all[T any](values []T, check func(T) bool) bool {
	for _, value := range values {
		if !check(value) {
			return false
		}
	}
	return true
}

// wholeBytes bounds a size that came as a JSON number.
func wholeBytes(size float64) int64 {
	return int64(math.Min(size, math.MaxInt64/2))
}

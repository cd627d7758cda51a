package wire

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
)

// Arm is one run to start. Sizes are bytes, durations ms, At is Unix ms.
type Arm struct {
	ID, Session              string
	At                       float64
	Argv                     []string
	Env                      map[string]string
	WorkingDir               string
	User, Group              string // "": the launcher's
	UserEnv                  bool
	AllowPrivilegeEscalation bool
	DeadlineMs               float64 // < 0: none
	GraceMs                  float64
	OutputLimit              float64
	Script                   string // "": none
	Stdin                    []byte // nil: /dev/null
	TTY                      *WindowSize
	Resources                *Resources
	Fenced                   bool
	Notes                    bool
	Leave                    bool // what outlives the command goes on
	Mark                     string
	Labels                   map[string]string
}

// WindowSize is a terminal's.
type WindowSize struct {
	Columns uint16 `json:"columns"`
	Rows    uint16 `json:"rows"`
}

// Resources limit a whole run. Zero is no limit.
type Resources struct {
	CPUMillis   float64 `json:"cpuMillis"`
	MemoryBytes float64 `json:"memoryBytes"`
	Pids        float64 `json:"pids"`
}

// Refusal is why a run was not armed.
type Refusal struct{ Reason, Message string }

type armField struct {
	name       string
	isOptional bool
	read       func(raw json.RawMessage, order *Arm) bool
}

var armFields = []armField{
	{"id", false, text(func(a *Arm) *string { return &a.ID })},
	{"session", false, text(func(a *Arm) *string { return &a.Session })},
	{"at", false, func(raw json.RawMessage, order *Arm) (ok bool) {
		order.At, ok = decode[float64](raw)
		return ok
	}},
	{"argv", false, func(raw json.RawMessage, order *Arm) (ok bool) {
		order.Argv, ok = decode[[]string](raw)
		return ok && len(order.Argv) > 0 && order.Argv[0] != "" && all(order.Argv, isText)
	}},
	{"env", false, func(raw json.RawMessage, order *Arm) (ok bool) {
		order.Env, ok = decode[map[string]string](raw)
		for name := range order.Env {
			ok = ok && name != "" && isText(name) && !strings.Contains(name, "=")
		}
		return ok && areTexts(order.Env)
	}},
	{"workingDir", false, text(func(a *Arm) *string { return &a.WorkingDir })},
	{"user", true, text(func(a *Arm) *string { return &a.User })},
	{"group", true, text(func(a *Arm) *string { return &a.Group })},
	{"userEnv", true, boolean(func(a *Arm) *bool { return &a.UserEnv })},
	{"allowPrivilegeEscalation", true, boolean(func(a *Arm) *bool { return &a.AllowPrivilegeEscalation })},
	{"deadlineMs", true, notNegative(func(a *Arm) *float64 { return &a.DeadlineMs })},
	{"graceMs", false, notNegative(func(a *Arm) *float64 { return &a.GraceMs })},
	{"outputLimit", false, notNegative(func(a *Arm) *float64 { return &a.OutputLimit })},
	{"script", true, text(func(a *Arm) *string { return &a.Script })},
	{"stdin", true, readStdin},
	{"tty", true, func(raw json.RawMessage, order *Arm) (ok bool) {
		size, ok := decode[WindowSize](raw)
		order.TTY = &size
		return ok && isObject(raw) && size.Columns > 0 && size.Rows > 0
	}},
	{"resources", true, func(raw json.RawMessage, order *Arm) bool {
		limits, ok := decode[Resources](raw)
		order.Resources = &limits
		return ok && isObject(raw) && limits.CPUMillis >= 0 && limits.MemoryBytes >= 0 && limits.Pids >= 0
	}},
	{"fenced", false, boolean(func(a *Arm) *bool { return &a.Fenced })},
	{"notes", true, boolean(func(a *Arm) *bool { return &a.Notes })},
	{"leftovers", true, func(raw json.RawMessage, order *Arm) bool {
		value, ok := decode[string](raw)
		order.Leave = value == "Leave"
		return ok && (value == "Leave" || value == "Kill")
	}},
	{"mark", true, func(raw json.RawMessage, order *Arm) (ok bool) {
		order.Mark, ok = decode[string](raw)
		return ok && isText(order.Mark) && strings.Index(order.Mark, "=") > 0
	}},
	{"labels", true, func(raw json.RawMessage, order *Arm) (ok bool) {
		order.Labels, ok = decode[map[string]string](raw)
		return ok && areTexts(order.Labels)
	}},
}

// ParseArm reads a run to arm. If it is refused, the returned order still has its id, provided that the id is valid.
func ParseArm(raw json.RawMessage) (*Arm, *Refusal) {
	order := &Arm{DeadlineMs: -1}
	fields, _ := decode[map[string]json.RawMessage](raw)
	for _, field := range armFields {
		value, exists := fields[field.name]
		if !exists || string(value) == "null" {
			if field.isOptional {
				continue
			}
		} else if field.read(value, order) {
			continue
		}
		return order, &Refusal{"Invalid", field.name + " is missing or malformed"}
	}
	return order, nil
}

// Bytes converts a size that came as a JSON number.
func Bytes(size float64) int64 { return int64(math.Min(size, math.MaxInt64/2)) }

func text(field func(*Arm) *string) func(json.RawMessage, *Arm) bool {
	return func(raw json.RawMessage, order *Arm) bool {
		value, ok := decode[string](raw)
		*field(order) = value
		return ok && isText(value) && value != ""
	}
}

func notNegative(field func(*Arm) *float64) func(json.RawMessage, *Arm) bool {
	return func(raw json.RawMessage, order *Arm) bool {
		value, ok := decode[float64](raw)
		*field(order) = value
		return ok && value >= 0
	}
}

func boolean(field func(*Arm) *bool) func(json.RawMessage, *Arm) bool {
	return func(raw json.RawMessage, order *Arm) (ok bool) {
		*field(order), ok = decode[bool](raw)
		return ok
	}
}

func readStdin(raw json.RawMessage, order *Arm) bool {
	encoded, ok := decode[string](raw)
	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	order.Stdin = append([]byte{}, data...)
	return ok && err == nil
}

// decode is false for a value of another type.
func decode[T any](raw json.RawMessage) (value T, ok bool) {
	ok = raw != nil && json.Unmarshal(raw, &value) == nil
	return value, ok
}

// isText is false for what the kernel does not take as one string.
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

//go:build linux

package main

import (
	"slices"

	"shellcron.dev/launcher/internal/wire"
)

// request says what to run, and where. The agent makes it (agent/runs/container-command.ts).
type request struct {
	// Endpoints are the runtimes' sockets. If it is empty, the well-known ones are tried.
	Endpoints []string `json:"endpoints"`
	// PodsOnly: this machine is a Kubernetes node, and only Pods are looked for.
	PodsOnly  bool     `json:"podsOnly"`
	Namespace string   `json:"namespace"`
	Selector  selector `json:"selector"`
	// Name is the container's in its Pod, or on the machine. "" is any.
	Name string `json:"name"`
	// Pick is One or Each.
	Pick   string   `json:"pick"`
	Shell  []string `json:"shell"`
	Script string   `json:"script"`
	// ScriptIsFile: Shell gets the path of a file with the script, not its text.
	ScriptIsFile     bool              `json:"scriptIsFile"`
	Env              map[string]string `json:"env"`
	WorkingDir       string            `json:"workingDir"`
	TTY              *wire.WindowSize  `json:"tty"`
	SuccessExitCodes []int             `json:"successExitCodes"`
	// Leftovers is Kill or Leave. GraceMs is what processes have that outlive the command.
	Leftovers string  `json:"leftovers"`
	GraceMs   float64 `json:"graceMs"`
}

type selector struct {
	MatchLabels      map[string]string `json:"matchLabels"`
	MatchExpressions []expression      `json:"matchExpressions"`
}

type expression struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values"`
}

// matches has the meaning of a Kubernetes label selector. An unknown operator matches nothing.
func (s *selector) matches(labels map[string]string) bool {
	for key, wanted := range s.MatchLabels {
		if value, there := labels[key]; !there || value != wanted {
			return false
		}
	}
	for _, each := range s.MatchExpressions {
		if !each.matches(labels) {
			return false
		}
	}
	return true
}

func (e *expression) matches(labels map[string]string) bool {
	value, there := labels[e.Key]
	switch e.Operator {
	case "In":
		return there && slices.Contains(e.Values, value)
	case "NotIn":
		return !there || !slices.Contains(e.Values, value)
	case "Exists":
		return there
	case "DoesNotExist":
		return !there
	default:
		return false
	}
}

// sendsScript says whether the interpreter may read the script from its shell's stdin.
func (r *request) sendsScript() bool { return r.ScriptIsFile && r.TTY == nil }

func (r *request) isSuccess(code int) bool {
	if len(r.SuccessExitCodes) == 0 {
		return code == 0
	}
	return slices.Contains(r.SuccessExitCodes, code)
}

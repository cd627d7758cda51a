//go:build !without_kill

package supervise

import "shellcron.dev/launcher/internal/wire"

// fenceGraceMs is the rule KILL of the protocol's model: the fence sends SIGKILL at once, whatever grace the run was promised.
// Without it, a process lives on after another agent has buried its run. Only a build for a test of the fence is without it.
func fenceGraceMs(*wire.Arm) float64 { return 0 }

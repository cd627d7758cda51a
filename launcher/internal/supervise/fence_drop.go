//go:build !without_drop

package supervise

// dropsArmed is the rule DROP of the protocol's model: the fence drops the armed runs of its session. Without it, an armed run
// starts after another agent has buried it. Only a build for a test of the fence is without it.
const dropsArmed = true

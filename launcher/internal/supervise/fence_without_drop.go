//go:build without_drop

package supervise

const dropsArmed = false

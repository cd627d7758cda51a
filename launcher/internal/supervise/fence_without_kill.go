//go:build without_kill

package supervise

import "shellcron.dev/launcher/internal/wire"

func fenceGraceMs(order *wire.Arm) float64 { return order.GraceMs }

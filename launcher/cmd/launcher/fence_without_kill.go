//go:build without_kill

package main

func fenceGraceMs(order *arm) float64 { return order.graceMs }

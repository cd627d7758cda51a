//go:build without_drop

package main

const dropsArmed = false

//go:build !linux

package start

import "errors"

// openScript is not reached: an order with a script is refused here.
func openScript(string) (int, error) { return -1, errors.ErrUnsupported }

func (c *Command) argv() []string { return c.order.Argv }

func (c *Command) closeScript() {}

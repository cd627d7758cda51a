package supervise

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"shellcron.dev/launcher/internal/proc"
	"shellcron.dev/launcher/internal/wire"
)

const (
	// A process that ends within this time of the command is no leftover: `tee` behind a pipe reads the end of its input only now.
	leftoverAfter = 100 * time.Millisecond
	// maxNamed is how many leftovers the record names.
	maxNamed = 10
)

// settleLeftovers ends the processes that outlived the command, with the grace, or lets them go. It returns nil if there are none.
// A command that runs processes elsewhere has done that itself, or was killed and cannot go on.
func (e *execution) settleLeftovers() *wire.Leftovers {
	if !e.tree.HasProcesses() || e.tree.RunsElsewhere() || len(e.killer.Members(e.tree)) == 0 {
		return nil
	}
	time.Sleep(leftoverAfter)
	members := e.killer.Members(e.tree)
	if len(members) == 0 {
		return nil
	}
	left := describeLeftovers(members)
	if order := e.command.Order(); order.Leave {
		left.Left = true
		e.killer.Leave(e.tree)
	} else {
		e.end(ending{graceMs: order.GraceMs})
		e.awaitTree()
	}
	return left
}

func describeLeftovers(members []proc.Process) *wire.Leftovers {
	left := &wire.Leftovers{Count: len(members), Processes: []string{}}
	for _, each := range members[:min(len(members), maxNamed)] {
		left.Processes = append(left.Processes, fmt.Sprintf("%s (%d)", printable(proc.Name(each.Pid)), each.Pid))
	}
	return left
}

// printable: a process may call itself anything.
func printable(name string) string {
	return strings.Map(func(each rune) rune {
		if unicode.IsPrint(each) {
			return each
		}
		return '?'
	}, strings.ToValidUTF8(name, "?"))
}

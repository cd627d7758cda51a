//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync/atomic"
	"time"
)

const (
	exitKilled = 128 + 9
	// shellWithin is how long a shell may take to begin: the runtime may be busy, and the image's disk slow.
	shellWithin = time.Minute
	// dyingWithin: a container's first process may end a moment after those that die with it.
	dyingWithin = 300 * time.Millisecond
	maxReply    = 4096
)

// command is a command in one container:
//
//	/bin/sh starts ── its pid ──> confined, noted ── the request ──> "read" ──> cd, exec of the real shell ──> its output … its exit code
type command struct {
	asked     *request
	notes     *notes
	runtime   containerRuntime
	container container
	// stdout and stderr are where the command's output goes.
	stdout, stderr io.Writer

	// token begins every line that the container's shell says to this program.
	token    string
	init     process
	shell    process
	confined *confinement
	terminal *terminal
	session  session
	reader   *bufio.Reader
	// blockedWriters counts writes of output that wait for its reader.
	blockedWriters atomic.Int32
	isAbandoned    atomic.Bool
	// missing says why output may be missing; "" if it is complete.
	missing string
	// leftovers says which processes outlived the command; "" if none did.
	leftovers string
	// terminated is closed when this program has got a signal. The launcher then counts the grace.
	terminated <-chan struct{}
}

// result is how a command ended in one container.
type result struct {
	container container
	code      int
	oom       bool
	failure   *failure
	// notes are about missing output and leftovers.
	notes string
}

// run returns when no process of the command is left. The context ends a command that has not begun. A running one is for the
// launcher to end.
func (c *command) run(begun context.Context) result {
	c.terminated = begun.Done()
	code, err := c.attempt(begun)
	how := result{container: c.container, code: code, notes: sentences(c.leftovers, c.missing)}
	if err != nil {
		how.code, how.failure = exitFailed, failureOf(err)
	}
	if c.confined == nil {
		return how
	}
	how.oom = c.confined.wasOOM(how.code == exitKilled || how.failure == nil && c.asked.isSuccess(how.code))
	if (how.code == exitKilled || how.failure != nil && how.failure.reason == runtimeUnavailable) && !how.oom && c.isGone() {
		how.code, how.failure = exitFailed, failed(containerGone, "container %s ended while the command ran", c.container.name)
	}
	c.confined.end()
	return how
}

func (c *command) attempt(begun context.Context) (int, error) {
	if err := c.findInit(begun); err != nil {
		return 0, err
	}
	c.token = randomToken()
	ctx, cancel := context.WithTimeout(begun, shellWithin)
	defer cancel()
	var err error
	c.session, err = c.runtime.exec(ctx, c.container.id, []string{"/bin/sh", "-c", bootstrap, c.token}, c.asked.TTY != nil)
	if err != nil && ctx.Err() != nil {
		return 0, notBegun(ctx)
	} else if err != nil {
		return 0, err
	}
	defer c.session.close()
	// This ends the handshake with a shell that says nothing.
	stop := context.AfterFunc(ctx, c.session.close)
	copied := c.copyErrors()
	c.reader = bufio.NewReaderSize(c.session.stdout(), 64<<10)
	err = c.handshake()
	if !stop() {
		return 0, notBegun(ctx)
	} else if err != nil {
		return 0, c.explain(err)
	}
	return c.follow(copied)
}

func notBegun(ctx context.Context) error {
	return failed(runtimeUnavailable, "the container's shell did not begin: %v", context.Cause(ctx))
}

func (c *command) findInit(ctx context.Context) error {
	pid, err := c.runtime.initPid(ctx, c.container.id)
	if err != nil {
		return err
	}
	found, alive := processOf(pid)
	if !alive {
		return failed(notConfinable,
			"process %d of container %s is not visible here: run the agent in the pid namespace of its runtime; a sandboxed runtime shows none", pid, c.container.name)
	}
	c.init = found
	return nil
}

// confine moves the waiting shell to groups by which it can be killed.
func (c *command) confine(inner int) (err error) {
	var isVisible bool
	if c.shell, isVisible = inNamespaceOf(c.init.pid, inner); !isVisible {
		return failed(notConfinable, "the process of the shell in container %s is not visible here", c.container.name)
	}
	sum := sha256.Sum256([]byte(c.notes.path + "\n" + c.container.id + "\n" + c.token))
	name := "shellcron-" + hex.EncodeToString(sum[:8])
	c.confined, err = confine(inContainer{c.shell, c.init, c.container.id}, name, c.notes.nameGroups)
	if err == nil && c.asked.TTY != nil {
		c.terminal, err = openTerminal(c.shell, c.asked.TTY)
	}
	return err
}

func (c *command) isGone() bool {
	const pause = 10 * time.Millisecond
	for until := time.Now().Add(dyingWithin); time.Now().Before(until); time.Sleep(pause) {
		if !c.init.isAlive() {
			return true
		}
	}
	return false
}

func randomToken() string {
	bytes := make([]byte, 12)
	_, _ = rand.Read(bytes)
	return "shellcron-" + hex.EncodeToString(bytes)
}

// The launcher starts, limits, fences, records and ends the commands that the agent orders, and outlives the agent. ../../protocol.md
// defines what they say to each other.
//
//	--state DIR      has its socket, journal, spools and lock; it must exist, and has one launcher
//	--die-with PID   kill all runs and end when this process has ended
//	--leave-group N  first move from the control groups that it was started in to a group of this name below the root
//	--pids-limit N   how many processes all runs together may have; 0: 80 % of what the machine allows
//	--build ID       is told in `hello`, so that an agent knows which program this is
//	--trust-owner N  besides this user and root, this user may own the state directory; may be given more than once
package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"shellcron.dev/launcher/internal/cgroup"
	"shellcron.dev/launcher/internal/crash"
	"shellcron.dev/launcher/internal/proc"
	"shellcron.dev/launcher/internal/server"
	"shellcron.dev/launcher/internal/supervise"
	"shellcron.dev/launcher/internal/trust"
)

const (
	checkParentEvery = 500 * time.Millisecond
	retryLockEvery   = 20 * time.Millisecond
	lockWithin       = 10 * time.Second
)

func main() {
	stateDir := flag.String("state", "", "the state directory")
	dieWith := flag.Int("die-with", 0, "the process to end with")
	build := flag.String("build", "", "which program this is")
	leaveFor := flag.String("leave-group", "", "the control group to move to")
	var owners trust.Owners
	flag.Func("trust-owner", "a user, as a number, who may own the state directory", func(uid string) error {
		owner, err := strconv.Atoi(uid)
		owners = append(owners, owner)
		return err
	})
	pidsLimit := flag.Int("pids-limit", 0, "how many processes all runs together may have")
	flag.Parse()
	if *stateDir == "" {
		fmt.Fprintln(os.Stderr, "usage: launcher --state DIR [--die-with PID] [--leave-group NAME] [--pids-limit N] [--build ID] [--trust-owner UID]")
		os.Exit(2)
	}
	if err := trust.StateDirectory(*stateDir, owners); err != nil {
		fmt.Fprintln(os.Stderr, "launcher:", err)
		os.Exit(1)
	}
	logToStderr()
	limitMemory()
	setUpProcess()
	lock, err := lockState(*stateDir)
	if errors.Is(err, errLocked) {
		slog.Info("launcher.alreadyRuns", "stateDir", *stateDir)
		return
	}
	if err == nil && *leaveFor != "" {
		err = cgroup.MoveBelowRoot(*leaveFor)
	}
	if err == nil {
		err = serve(*stateDir, *build, *pidsLimit, *dieWith)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "launcher:", err)
		os.Exit(1)
	}
	runtime.KeepAlive(lock)
}

// errLocked: another launcher has the state directory.
var errLocked = errors.New("another launcher has the lock")

// lockState returns errLocked if another launcher serves this directory. If that one has closed its socket, it is about to end, and
// this one waits: nobody else would start the next launcher.
func lockState(stateDir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(stateDir, "launcher.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(lockWithin); ; time.Sleep(retryLockEvery) {
		err = tryLock(lock)
		if !errors.Is(err, errLocked) || server.Answers(stateDir) || time.Now().After(until) {
			return lock, err
		}
	}
}

// limitMemory: the launcher holds little, and runs on every machine. It sets no memory limit: the garbage collector would run all the
// time in a burst, when nothing may hold up the starts.
func limitMemory() {
	runtime.GOMAXPROCS(min(runtime.NumCPU(), supervise.MaxThreads))
	debug.SetGCPercent(50)
}

func serve(stateDir, build string, pidsLimit, dieWith int) error {
	s, err := supervise.New(stateDir, pidsLimit)
	if err != nil {
		return err
	}
	left := s.Recover()
	instance := s.BootID() + "/" + randomName()
	listener, err := server.Listen(stateDir, s, instance, build)
	if err != nil {
		return err
	}
	s.Work()
	crash.Go(listener.Work)
	crash.Go(func() { endOnSignals(s) })
	if dieWith != 0 {
		crash.Go(func() { endWith(dieWith, s) })
	}
	slog.Info("launcher.ready", "instance", instance, "left", left)
	<-s.Stopped
	s.Close()
	listener.Close()
	s.Remove()
	slog.Info("launcher.ended")
	return nil
}

// endWith ends the launcher when a process has ended.
func endWith(pid int, s *supervise.Supervisor) {
	for first, _ := proc.Read(pid, false); !proc.HasGone(pid, first.Ticks); {
		time.Sleep(checkParentEvery)
	}
	s.Stop(false)
}

func randomName() string {
	bytes := make([]byte, 8)
	_, _ = rand.Read(bytes)
	return hex.EncodeToString(bytes)
}

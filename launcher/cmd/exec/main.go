//go:build linux

// This program runs a command inside a running container. It finds the container, starts the container's own /bin/sh through the
// runtime, and has the command's output and exit code as its own. The launcher runs it like any command.
//
// The request comes as JSON on stdin. What the exit code cannot say goes into the run's notes (../../protocol.md). It knows no job and
// no etcd, and has only the privileges of the process that starts it. It needs Linux: a command is confined by control groups.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/grpclog"
)

const (
	// exitFailed: the command did not run to its end; the reason is in the notes. docker and podman use the same code.
	exitFailed = 125
	// exitNotHere is for --find.
	exitNotHere = 3
	// exitEnded: a signal came before the command ran.
	exitEnded = 128 + int(unix.SIGTERM)
)

func main() {
	debug.SetGCPercent(50)
	silenceLibraries()
	var asked request
	input, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = json.Unmarshal(input, &asked)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "exec: the request is malformed:", err)
		os.Exit(2)
	}
	if len(os.Args) > 1 && os.Args[1] == "--find" {
		os.Exit(find(&asked))
	}
	os.Exit(serve(&asked, &notes{path: os.Getenv("SHELLCRON_NOTES")}))
}

// find says whether the command could run here: 0, or exitNotHere.
func find(asked *request) int {
	_, _, err := findContainers(context.Background(), asked)
	// The container is here, but its name is missing in the spec: the command must fail here and say so.
	if err != nil && failureOf(err).reason != containerAmbiguous {
		return exitNotHere
	}
	return 0
}

// silenceLibraries keeps their logs out of the command's output.
func silenceLibraries() {
	log.SetOutput(io.Discard)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}

func serve(asked *request, notes *notes) int {
	// A SIGTERM ends only commands that do not run yet. The launcher sends it to a running command as well, by its group, and this
	// program waits for its last output.
	begun, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	go func() {
		for range signals {
			stop()
		}
	}()
	told := runAll(begun, asked, notes)
	if told.Reason != "" || told.Message != "" || told.Oom {
		if err := notes.tell(told); err != nil {
			fmt.Fprintln(os.Stderr, "exec:", err)
		}
	}
	return told.code
}

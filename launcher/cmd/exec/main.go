// The helper that runs a command inside a running container: it finds the container, starts the container's own /bin/sh through
// the runtime, and is, to the launcher that started it, that command: its output, its exit code.
//
// The request comes as JSON on stdin, and what the exit code cannot say goes into the run's notes (../protocol.md). It knows no
// job and no etcd, and has no privileges but those of who starts it.
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
	// exitFailed is for what the command did not say itself; the reason is in the notes. As docker and podman use it.
	exitFailed = 125
	// exitNotHere: with --find.
	exitNotHere = 3
	// exitEnded: told to end before anything ran.
	exitEnded = 128 + int(unix.SIGTERM)
)

func main() {
	debug.SetGCPercent(50)
	beSilent()
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

// find only says whether the command could run here: 0, or exitNotHere.
func find(asked *request) int {
	_, _, err := look(context.Background(), asked)
	// Which one is meant must be said: the command is to end here, with that.
	if err != nil && failureOf(err).reason != containerAmbiguous {
		return exitNotHere
	}
	return 0
}

// beSilent: what libraries have to say is not the command's.
func beSilent() {
	log.SetOutput(io.Discard)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}

func serve(asked *request, notes *notes) int {
	// Once a command runs, SIGTERM is for it: the launcher reaches it by its group, and what it still says is wanted.
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

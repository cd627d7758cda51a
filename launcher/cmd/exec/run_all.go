//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
)

// runAll runs the command in all chosen containers at the same time, and returns when all have ended.
func runAll(begun context.Context, asked *request, notes *notes) told {
	commands, err := prepare(begun, asked, notes)
	if err != nil {
		if begun.Err() != nil {
			return told{code: exitEnded}
		}
		failure := failureOf(err)
		return told{Reason: failure.reason, Message: failure.message, code: exitFailed}
	}
	results := make([]result, len(commands))
	var all sync.WaitGroup
	for n, each := range commands {
		all.Go(func() { results[n] = each.run(begun) })
	}
	all.Wait()
	for _, each := range commands {
		flush(each.stdout)
		flush(each.stderr)
	}
	if asked.Pick == "Each" {
		return summary(asked, results)
	}
	return toldOf(results[0])
}

func prepare(ctx context.Context, asked *request, notes *notes) ([]*command, error) {
	chosen, of, err := findContainers(ctx, asked)
	if err != nil {
		return nil, err
	}
	var commands []*command
	var writing sync.Mutex
	for _, each := range chosen {
		c := &command{asked: asked, notes: notes, runtime: of[each.id], container: each, stdout: os.Stdout, stderr: os.Stderr}
		if asked.Pick == "Each" {
			prefix := each.name + " | "
			c.stdout = &prefixed{to: os.Stdout, prefix: prefix, mu: &writing}
			c.stderr = &prefixed{to: os.Stderr, prefix: prefix, mu: &writing}
		}
		commands = append(commands, c)
	}
	return commands, nil
}

func toldOf(how result) told {
	t := told{Message: how.notes, Oom: how.oom, code: how.code}
	if how.failure != nil {
		t.Reason, t.Message = how.failure.reason, sentences(how.failure.message, how.notes)
	}
	return t
}

// summary takes code and reason from the first container that failed. The message names all that failed.
func summary(asked *request, results []result) told {
	var failures, notes []string
	first := -1
	for n, how := range results {
		if how.notes != "" {
			notes = append(notes, how.container.name+": "+how.notes)
		}
		switch {
		case how.failure != nil:
			failures = append(failures, fmt.Sprintf("%s: %s", how.container.name, how.failure.reason))
		case how.oom && !asked.isSuccess(how.code):
			failures = append(failures, how.container.name+": OOMKilled")
		case !asked.isSuccess(how.code):
			failures = append(failures, fmt.Sprintf("%s: exit code %d", how.container.name, how.code))
		default:
			continue
		}
		if first < 0 {
			first = n
		}
	}
	t := toldOf(results[max(first, 0)])
	t.Message = ""
	if first >= 0 {
		t.Message = fmt.Sprintf("failed in %d of %d containers: %s", len(failures), len(results), strings.Join(failures, ", "))
	}
	t.Message = sentences(append([]string{t.Message}, notes...)...)
	return t
}

func sentences(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(each string) bool { return each == "" }), "; ")
}

// maxLine is the most that one line has. Longer lines are split, and each piece names its container.
const maxLine = 64 << 10

// prefixed writes whole lines, each with the name of its container in front.
type prefixed struct {
	to     io.Writer
	prefix string
	mu     *sync.Mutex
	rest   []byte
}

func (p *prefixed) Write(data []byte) (int, error) {
	var lines bytes.Buffer
	p.rest = append(p.rest, data...)
	for {
		end := bytes.IndexByte(p.rest, '\n')
		if end < 0 && len(p.rest) < maxLine {
			break
		}
		lines.WriteString(p.prefix)
		if end < 0 {
			end = len(p.rest)
			lines.Write(p.rest)
			lines.WriteByte('\n')
		} else {
			end++
			lines.Write(p.rest[:end])
		}
		p.rest = p.rest[end:]
	}
	p.rest = bytes.Clone(p.rest)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.to.Write(lines.Bytes())
	return len(data), err
}

// flush writes a last line without its end.
func flush(to io.Writer) {
	if p, is := to.(*prefixed); is && len(p.rest) > 0 {
		_, _ = p.Write([]byte{'\n'})
	}
}

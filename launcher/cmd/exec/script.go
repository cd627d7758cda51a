//go:build linux

package main

import (
	"maps"
	"slices"
	"strings"
)

// bootstrap is the script of the container's /bin/sh. Everybody can see it in the process table, and so it holds no secrets; $0 is the
// token that begins every line to this program. The shell says its pid, reads the rest of the script, waits for one more line, and
// runs it. Only built-ins of every shell are used: the container may have nothing else.
const bootstrap = `echo "$0 $$"; __shc= __shl=
while IFS= read -r __shl && [ "$__shl" != "$0" ]; do __shc="$__shc$__shl
"; done
[ "$__shl" = "$0" ] || exit 125
echo "$0 read"; IFS= read -r __shl || exit 125
eval "$__shc"`

// The shell's replies, after the token.
const (
	saysRead        = "read"
	saysGo          = "go"
	saysNoDirectory = "nodir"
	saysNoShell     = "noshell"
)

// readOnly are variables that some shells refuse to set, which would end the shell. They keep their values there.
var readOnly = map[string]bool{
	"UID": true, "EUID": true, "PPID": true, "GROUPS": true, "OPTIND": true, "SHELLOPTS": true, "BASHOPTS": true, "BASH_VERSINFO": true,
}

// payload is the text that the shell evaluates. It ends with a line that has only the token.
func payload(asked *request, token string) string {
	var text strings.Builder
	text.WriteString("unset __shc __shl\n")
	for _, name := range slices.Sorted(maps.Keys(asked.Env)) {
		set := "export " + name + "=" + quoted(asked.Env[name])
		if readOnly[name] {
			set = "(" + set + ") 2>/dev/null && " + set
		}
		text.WriteString(set + "\n")
	}
	text.WriteString(orElse("cd -- "+quoted(asked.WorkingDir)+" 2>/dev/null", saysNoDirectory))
	program := quoted(asked.Shell[0])
	isThere := "command -v " + program + " >/dev/null"
	if strings.Contains(asked.Shell[0], "/") {
		isThere = "[ -f " + program + " ] && [ -x " + program + " ]"
	}
	text.WriteString(orElse(isThere, saysNoShell))
	text.WriteString(`echo "$0 ` + saysGo + "\"\n")
	if asked.ScriptIsFile {
		return text.String() + asFile(asked, token) + token + "\n"
	}
	text.WriteString("exec")
	for _, argument := range append(slices.Clone(asked.Shell), asked.Script) {
		text.WriteString(" " + quoted(argument))
	}
	if asked.TTY == nil {
		text.WriteString(" </dev/null")
	}
	return text.String() + "\n" + token + "\n"
}

// scriptPath is where an interpreter finds its script: the descriptor 3. Nothing is written into the container.
const scriptPath = "/proc/self/fd/3"

// asFile runs an interpreter with the script as its file. That is the rest of the shell's stdin, which this program writes and ends.
// With a terminal, or if the runtime left stdin to a user who may not open it again, it is a here-document: some shells write a long one
// to a file in /tmp that they have deleted.
func asFile(asked *request, token string) string {
	command := "exec"
	for _, argument := range append(slices.Clone(asked.Shell), scriptPath) {
		command += " " + quoted(argument)
	}
	end := token + "-end"
	here := " 3<<'" + end + "'\n" + asked.Script + "\n" + end + "\n"
	if asked.TTY != nil {
		return command + here
	}
	return "if [ -r /proc/self/fd/0 ]; then " + command + " 3<&0 </dev/null; fi\n" + command + " </dev/null" + here
}

func orElse(command, says string) string {
	return command + ` || { echo "$0 ` + says + "\"; exit 125; }\n"
}

// quoted makes any text one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

package main

import (
	"maps"
	"slices"
	"strings"
)

// bootstrap is what the container's /bin/sh is started with, for everybody to see; $0 is the word that both sides know each other by.
// It tells its pid, reads the rest of what it is to do, waits for a last line, and does it. Only what every shell has built in is used: there
// may be nothing else in the container.
const bootstrap = `echo "$0 $$"; __shc= __shl=
while IFS= read -r __shl && [ "$__shl" != "$0" ]; do __shc="$__shc$__shl
"; done
[ "$__shl" = "$0" ] || exit 125
echo "$0 read"; IFS= read -r __shl || exit 125
eval "$__shc"`

// What the shell says after $0.
const (
	saysRead        = "read"
	saysGo          = "go"
	saysNoDirectory = "nodir"
	saysNoShell     = "noshell"
)

// readOnly are variables that some shells refuse to have set, which would end them: there they keep what they have.
var readOnly = map[string]bool{
	"UID": true, "EUID": true, "PPID": true, "GROUPS": true, "OPTIND": true, "SHELLOPTS": true, "BASHOPTS": true, "BASH_VERSINFO": true,
}

// payload is the text that the shell evaluates; it ends with a line of `word` alone.
func payload(asked *request, word string) string {
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
	text.WriteString(`echo "$0 ` + saysGo + "\"\nexec")
	for _, argument := range append(slices.Clone(asked.Shell), asked.Script) {
		text.WriteString(" " + quoted(argument))
	}
	if asked.TTY == nil {
		text.WriteString(" </dev/null")
	}
	return text.String() + "\n" + word + "\n"
}

func orElse(command, says string) string {
	return command + ` || { echo "$0 ` + says + "\"; exit 125; }\n"
}

// quoted is any text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

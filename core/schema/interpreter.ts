/**
 * The interpreter line of a script as the kernel reads it: after `#!` a path, and the rest of the line as one argument. undefined: the
 * script has none.
 */
export function interpreterOf(script: string): [string, ...string[]] | undefined {
  const [, program, argument] = /^#![ \t]*([^ \t\n]+)[ \t]*([^\n]*)/.exec(script) ?? []
  if (program === undefined) return undefined
  const rest = (argument ?? '').replace(/[ \t]+$/, '')
  return rest === '' ? [program] : [program, rest]
}

/** Why a script could not run as it is written, with the remedy. `ownShell`: the template names the program that runs it. */
export function scriptProblem(script: string, ownShell: boolean): string | undefined {
  const carriageReturn = script.search(/\r(\n|$)/)
  if (carriageReturn >= 0) {
    const line = script.slice(0, carriageReturn).split('\n').length
    return `line ${line} ends with CR, as on Windows, which a shell takes for a part of the command; convert the line ends to LF, for example with dos2unix`
  }
  const interpreter = ownShell ? undefined : interpreterOf(script)
  if (!interpreter) return undefined
  if (!interpreter[0].startsWith('/'))
    return `the interpreter in line 1, "${interpreter[0].slice(0, 80)}", must be an absolute path; write #!/bin/bash or #!/usr/bin/env bash, or set shell`
  if (isNode(interpreter))
    return 'Node does not find a script that it gets as an open file; write #!/usr/bin/env -S node --preserve-symlinks-main in line 1, or set shell to [node, -e]'
  return undefined
}

/** Node replaces /proc/self/fd/3 by the target of that link, which is no path, unless it is told not to. */
function isNode(interpreter: readonly string[]): boolean {
  const words = interpreter.join(' ').split(/\s+/)
  return words.some(word => /(^|\/)node(js)?$/.test(word)) && !words.includes('--preserve-symlinks-main')
}

import { type CommandRow, fails, says } from './row.ts'

/** How commands end, by themselves or by others. */

/** Not SIGQUIT, which busybox's shell ignores. */
const dies = (signal: string): CommandRow => ({
  name: `SIG${signal} to itself`,
  script: `kill -${signal} $$; sleep 600`,
  expect: { outcome: 'Failed', reason: 'Signaled', signal: `SIG${signal}` },
})

const late = (name: string, script: string, stdout: string, graceSeconds = 30): CommandRow => ({
  name,
  script,
  deadlineSeconds: 0.7,
  graceSeconds,
  expect: { outcome: 'TimedOut', stdout },
})

const killed = (name: string, script: string, stdout: string, graceSeconds = 30): CommandRow => ({
  name,
  script,
  kill: true,
  graceSeconds,
  expect: { outcome: 'Killed', stdout },
})

export const endings: readonly CommandRow[] = [
  says('exit 0', 'exit 0', '', { expect: { exitCode: 0 } }),
  fails('exit 1', 'exit 1', 1),
  fails('exit 126', 'exit 126', 126, { expect: { reason: 'NotExecutable' } }),
  fails('exit 127', 'exit 127', 127, { expect: { reason: 'CommandNotFound' } }),
  fails('exit 128', 'exit 128', 128),
  fails('exit 143 is no signal', 'exit 143', 143),
  fails('exit 255', 'exit 255', 255),
  fails('an unknown command', 'no-such-command-here', 127, {
    expect: { reason: 'CommandNotFound', stderr: /not found/ },
  }),
  fails('a file that is no program', '/etc/passwd', 126, {
    expect: { reason: 'NotExecutable', stderr: /ermission denied/ },
  }),
  fails('a syntax error', 'echo before; if', 2, { expect: { stderr: /./ } }),
  fails('the last command decides', 'true; false', 1),
  says('the last of a pipe decides', 'false | true', ''),
  fails('errexit', 'set -e; echo a; false; echo b', 1, { expect: { stdout: 'a\n' } }),
  fails('exec hands over', `exec sh -c 'exit 7'`, 7),
  says('an exit code that counts as success', 'echo x; exit 3', 'x\n', {
    successExitCodes: [0, 3],
    expect: { exitCode: 3 },
  }),
  fails('another one does not', 'exit 4', 4, { successExitCodes: [0, 3] }),
  ...['TERM', 'KILL', 'SEGV', 'ABRT', 'HUP', 'INT', 'USR1', 'PIPE', 'ALRM'].map(dies),
  says("a child's signal is its shell's 128 + n", `sh -c 'kill -9 $$' 2> /dev/null; echo $?`, /137\n$/),
  says('a trapped signal is none', `trap 'echo caught' TERM; kill -TERM $$; echo after`, 'caught\nafter\n'),
  fails('an exit trap runs', `trap 'echo bye' EXIT; exit 5`, 5, { expect: { stdout: 'bye\n' } }),
  says('in time', 'sleep 0.1; echo done', 'done\n', { deadlineSeconds: 60 }),
  late('the deadline ends a sleeper', 'echo a; sleep 600; echo b', 'a\n'),
  late(
    'who traps SIGTERM and exits 0 is late all the same',
    `trap 'echo bye; exit 0' TERM; sleep 600 & wait`,
    'bye\n',
  ),
  late(
    'who ignores SIGTERM is killed after the grace',
    `trap '' TERM; echo a; while :; do sleep 0.1; done`,
    'a\n',
    0.3,
  ),
  late(
    'a tree that ignores SIGTERM',
    `trap '' TERM; sh -c 'sleep 600 & sleep 600 & wait' & sh -c 'sleep 600; :'; wait`,
    '',
    0.3,
  ),
  late('a pipe that never ends', 'yes > /dev/null | sleep 600', ''),
  late('no grace', `trap 'echo never' TERM; echo a; sleep 600 & wait`, 'a\n', 0),
  killed('a kill ends a sleeper', 'echo ready; sleep 600', 'ready\n'),
  killed(
    'last words at a kill',
    `trap 'echo last words; exit 9' TERM; echo ready; sleep 600 & wait`,
    'ready\nlast words\n',
  ),
  killed(
    'who ignores a kill',
    `trap '' TERM HUP INT; echo ready; while :; do sleep 0.1; done`,
    'ready\n',
    0.3,
  ),
]

import { type CommandRow, fails, prints } from './row.ts'

/** How commands end: by themselves, at a deadline, by a kill. */

/** A command that ends by this signal. Not for SIGQUIT, which busybox's shell ignores. */
const endsBy = (signal: string): CommandRow => ({
  name: `a shell that sends SIG${signal} to itself`,
  script: `kill -${signal} $$; sleep 600`,
  expect: { outcome: 'Failed', reason: 'Signaled', signal: `SIG${signal}` },
})

const timesOut = (name: string, script: string, stdout: string, graceSeconds = 30): CommandRow => ({
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
  prints('exit 0', 'exit 0', '', { expect: { exitCode: 0 } }),
  fails('exit 1', 'exit 1', 1),
  fails('exit 126', 'exit 126', 126, { expect: { reason: 'NotExecutable' } }),
  fails('exit 127', 'exit 127', 127, { expect: { reason: 'CommandNotFound' } }),
  fails('exit 128', 'exit 128', 128),
  fails('exit 143 is not judged as a signal', 'exit 143', 143),
  fails('exit 255', 'exit 255', 255),
  fails('an unknown command', 'no-such-command-here', 127, {
    expect: { reason: 'CommandNotFound', stderr: /not found/ },
  }),
  fails('a file that is not executable', '/etc/passwd', 126, {
    expect: { reason: 'NotExecutable', stderr: /ermission denied/ },
  }),
  fails('a syntax error', 'echo before; if', 2, { expect: { stderr: /./ } }),
  fails('the exit code is that of the last command', 'true; false', 1),
  prints('the exit code of a pipeline is that of its last command', 'false | true', ''),
  fails('set -e stops at the first failure', 'set -e; echo a; false; echo b', 1, {
    expect: { stdout: 'a\n' },
  }),
  fails('the exit code of a command that exec started', `exec sh -c 'exit 7'`, 7),
  prints('an exit code in successExitCodes', 'echo x; exit 3', 'x\n', {
    successExitCodes: [0, 3],
    expect: { exitCode: 3 },
  }),
  fails('an exit code that is not in successExitCodes', 'exit 4', 4, { successExitCodes: [0, 3] }),
  ...['TERM', 'KILL', 'SEGV', 'ABRT', 'HUP', 'INT', 'USR1', 'PIPE', 'ALRM'].map(endsBy),
  prints(
    'a shell sees the signal of its child as 128 + n',
    `sh -c 'kill -9 $$' 2> /dev/null; echo $?`,
    /137\n$/,
  ),
  prints(
    'a trapped signal does not end the command',
    `trap 'echo caught' TERM; kill -TERM $$; echo after`,
    'caught\nafter\n',
  ),
  fails('an exit trap runs', `trap 'echo bye' EXIT; exit 5`, 5, { expect: { stdout: 'bye\n' } }),
  prints('a command that ends before its deadline', 'sleep 0.1; echo done', 'done\n', {
    deadlineSeconds: 60,
  }),
  timesOut('the deadline ends a sleeping command', 'echo a; sleep 600; echo b', 'a\n'),
  timesOut('exit 0 after SIGTERM is TimedOut too', `trap 'echo bye; exit 0' TERM; sleep 600 & wait`, 'bye\n'),
  timesOut(
    'a command that ignores SIGTERM is killed after the grace period',
    `trap '' TERM; echo a; while :; do sleep 0.1; done`,
    'a\n',
    0.3,
  ),
  timesOut(
    'a tree that ignores SIGTERM',
    `trap '' TERM; sh -c 'sleep 600 & sleep 600 & wait' & sh -c 'sleep 600; :'; wait`,
    '',
    0.3,
  ),
  timesOut('a pipe that never ends', 'yes > /dev/null | sleep 600', ''),
  timesOut('a grace period of 0', `trap 'echo never' TERM; echo a; sleep 600 & wait`, 'a\n', 0),
  killed('a kill ends a sleeping command', 'echo ready; sleep 600', 'ready\n'),
  killed(
    'output after SIGTERM is kept',
    `trap 'echo last words; exit 9' TERM; echo ready; sleep 600 & wait`,
    'ready\nlast words\n',
  ),
  killed(
    'a killed command that ignores SIGTERM',
    `trap '' TERM HUP INT; echo ready; while :; do sleep 0.1; done`,
    'ready\n',
    0.3,
  ),
]

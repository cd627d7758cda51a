import { type CommandRow, fails, says } from './row.ts'

/** Trees of processes. None of them outlives its run: who runs the table looks for that when all are over. */

const quiet = '< /dev/null > /dev/null 2>&1'

export const processes: readonly CommandRow[] = [
  says('a background child does not hold up the end', 'sleep 600 & echo done', 'done\n'),
  says('a background child without streams', `sleep 600 ${quiet} & echo done`, 'done\n'),
  says(
    'a background child that ignores SIGTERM and SIGHUP',
    `(trap '' TERM HUP; sleep 600; sleep 600) & echo done`,
    'done\n',
  ),
  says('a daemon by two forks', `( ( sleep 600 & ) & ); echo done`, 'done\n'),
  says('a session of its own', `setsid sleep 600 & sleep 0.2; echo done`, 'done\n'),
  says(
    'a session of its own, by two forks, without streams',
    `( setsid sh -c 'sleep 600 & sleep 600' ${quiet} & ); sleep 0.2; echo done`,
    'done\n',
  ),
  says('nohup', `nohup sleep 600 ${quiet} & sleep 0.2; echo done`, 'done\n'),
  says(
    'a daemon that hides its environment',
    `( setsid env -i sleep 600 ${quiet} & ); sleep 0.2; echo done`,
    'done\n',
  ),
  says(
    'a daemon that writes on after the end',
    `(sleep 0.1; while echo later; do sleep 0.05; done) & echo done`,
    /^done\n(later\n)*$/,
  ),
  fails('the exit code is of the command, not of its children', `sh -c 'sleep 0.2; exit 9' & exit 3`, 3),
  says("wait tells a child's code", `sh -c 'exit 3' & wait $!; echo $?`, '3\n'),
  says(
    'wait waits for all',
    `for n in 1 2 3; do { sleep 0.1; echo x; } & done; wait; echo done`,
    'x\nx\nx\ndone\n',
  ),
  says('fifty children', `n=0; while [ $n -lt 50 ]; do sleep 0.1 & n=$((n+1)); done; wait; echo $n`, '50\n'),
  says(
    'thirty generations',
    `f() { if [ $1 -gt 0 ]; then sh -c "$D" sh $(($1-1)); else echo deep; fi; }; export D='if [ $1 -gt 0 ]; then sh -c "$D" sh $(($1-1)); :; else echo deep; fi'; f 30`,
    'deep\n',
  ),
  says('zombies that nobody waits for', `sh -c 'sleep 0 & sleep 0 & exec sleep 0.3'; echo done`, 'done\n'),
  says('orphans', `for n in 1 2 3; do sh -c 'sleep 0.1 &'; done; echo done`, 'done\n'),
  says('a child stopped by SIGSTOP', `sleep 600 & kill -STOP $!; echo done`, 'done\n'),
  {
    name: 'a stopped command at its deadline',
    script: `echo a; kill -STOP $$; echo b`,
    deadlineSeconds: 0.7,
    graceSeconds: 0.3,
    expect: { outcome: 'TimedOut', stdout: 'a\n' },
  },
  {
    name: 'sessions that ignore SIGTERM at a kill',
    script: `trap '' TERM; setsid sh -c 'trap "" TERM HUP; sleep 600 & sleep 600' & sleep 0.1; echo ready; sleep 600 & wait`,
    kill: true,
    graceSeconds: 0.3,
    expect: { outcome: 'Killed', stdout: 'ready\n' },
  },
  {
    name: 'a fork bomb inside its limit dies at its deadline',
    script: `trap '' TERM; b() { b | b & wait; }; sleep 600 & long=$!; b 2> /dev/null & wait $long`,
    resources: { pids: 40 },
    deadlineSeconds: 0.7,
    graceSeconds: 0.2,
    expect: { outcome: 'TimedOut' },
  },
  {
    name: 'memory over its limit',
    script: `head -c 300000000 /dev/zero | tail`,
    needs: 'oom',
    resources: { memoryBytes: 32 * 1024 ** 2 },
    expect: { outcome: 'Failed', reason: 'OOMKilled' },
  },
  says('memory within its limit', 'head -c 1000000 /dev/zero | tail | wc -c', '1000000\n', {
    resources: { memoryBytes: 64 * 1024 ** 2, cpuMillis: 500, pids: 20 },
  }),
]

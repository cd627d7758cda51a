import { type CommandRow, fails, prints } from './row.ts'

/** Process trees. No process outlives its run: host.test.ts checks that after all rows. */

const quiet = '< /dev/null > /dev/null 2>&1'

export const processes: readonly CommandRow[] = [
  prints('a run ends although a background child is alive', 'sleep 600 & echo done', 'done\n'),
  prints('a background child without streams', `sleep 600 ${quiet} & echo done`, 'done\n'),
  prints(
    'a background child that ignores SIGTERM and SIGHUP',
    `(trap '' TERM HUP; sleep 600; sleep 600) & echo done`,
    'done\n',
  ),
  prints('a daemon that forks twice', `( ( sleep 600 & ) & ); echo done`, 'done\n'),
  prints('a child in its own session', `setsid sleep 600 & sleep 0.2; echo done`, 'done\n'),
  prints(
    'a daemon in its own session that forks twice, without streams',
    `( setsid sh -c 'sleep 600 & sleep 600' ${quiet} & ); sleep 0.2; echo done`,
    'done\n',
  ),
  prints('nohup', `nohup sleep 600 ${quiet} & sleep 0.2; echo done`, 'done\n'),
  prints(
    'a daemon that hides its environment',
    `( setsid env -i sleep 600 ${quiet} & ); sleep 0.2; echo done`,
    'done\n',
  ),
  prints(
    'a daemon that keeps writing after the command ends',
    `(sleep 0.1; while echo later; do sleep 0.05; done) & echo done`,
    /^done\n(later\n)*$/,
  ),
  fails('the exit code is that of the command, not of a child', `sh -c 'sleep 0.2; exit 9' & exit 3`, 3),
  prints('wait returns the exit code of a child', `sh -c 'exit 3' & wait $!; echo $?`, '3\n'),
  prints(
    'wait without arguments waits for all children',
    `for n in 1 2 3; do { sleep 0.1; echo x; } & done; wait; echo done`,
    'x\nx\nx\ndone\n',
  ),
  prints(
    'fifty children',
    `n=0; while [ $n -lt 50 ]; do sleep 0.1 & n=$((n+1)); done; wait; echo $n`,
    '50\n',
  ),
  prints(
    'thirty generations',
    `f() { if [ $1 -gt 0 ]; then sh -c "$D" sh $(($1-1)); else echo deep; fi; }; export D='if [ $1 -gt 0 ]; then sh -c "$D" sh $(($1-1)); :; else echo deep; fi'; f 30`,
    'deep\n',
  ),
  prints(
    'zombies that no process waits for',
    `sh -c 'sleep 0 & sleep 0 & exec sleep 0.3'; echo done`,
    'done\n',
  ),
  prints('orphans', `for n in 1 2 3; do sh -c 'sleep 0.1 &'; done; echo done`, 'done\n'),
  prints('a child stopped by SIGSTOP', `sleep 600 & kill -STOP $!; echo done`, 'done\n'),
  {
    name: 'a command stopped by SIGSTOP is killed at its deadline',
    script: `echo a; kill -STOP $$; echo b`,
    deadlineSeconds: 0.7,
    graceSeconds: 0.3,
    expect: { outcome: 'TimedOut', stdout: 'a\n' },
  },
  {
    name: 'a kill ends children in their own sessions that ignore SIGTERM',
    script: `trap '' TERM; setsid sh -c 'trap "" TERM HUP; sleep 600 & sleep 600' & sleep 0.1; echo ready; sleep 600 & wait`,
    kill: true,
    graceSeconds: 0.3,
    expect: { outcome: 'Killed', stdout: 'ready\n' },
  },
  {
    name: 'a fork bomb within its process limit is killed at its deadline',
    script: `trap '' TERM; b() { b | b & wait; }; sleep 600 & long=$!; b 2> /dev/null & wait $long`,
    resources: { pids: 40 },
    deadlineSeconds: 0.7,
    graceSeconds: 0.2,
    expect: { outcome: 'TimedOut' },
  },
  {
    name: 'memory above its limit',
    script: `head -c 300000000 /dev/zero | tail`,
    needs: 'oom',
    resources: { memoryBytes: 32 * 1024 ** 2 },
    expect: { outcome: 'Failed', reason: 'OOMKilled' },
  },
  prints('memory within its limit', 'head -c 1000000 /dev/zero | tail | wc -c', '1000000\n', {
    resources: { memoryBytes: 64 * 1024 ** 2, cpuMillis: 500, pids: 20 },
  }),
]

import { type CommandRow, fails, prints } from './row.ts'

/** The environment of a command: directory, shell, variables, descriptors, signals, limits. */

const startFails = (
  name: string,
  startFailure: NonNullable<CommandRow['expect']['startFailure']>,
  more: Partial<CommandRow>,
): CommandRow => ({ name, script: 'true', ...more, expect: { outcome: 'Failed', startFailure } })

export const surroundings: readonly CommandRow[] = [
  prints('the root directory', 'pwd', '/\n', { hostOnly: true }),
  prints('a working directory', 'pwd; cd ..; pwd', '/dev\n/\n', { workingDir: '/dev' }),
  startFails('a missing working directory', 'NoSuchDirectory', { workingDir: '/no/such/place' }),
  startFails('a working directory that is a file', 'NoSuchDirectory', { workingDir: '/etc/passwd' }),
  startFails('a missing shell', 'NotFound', { shell: ['/no/such/shell', '-c'] }),
  startFails('a shell that is not on PATH', 'NotFound', { shell: ['no-such-shell', '-c'] }),
  startFails('a shell that is not executable', 'NotExecutable', { shell: ['/etc/passwd', '-c'] }),
  startFails('a shell that is a directory', 'NotExecutable', { shell: ['/etc', '-c'] }),
  prints('a shell that is found on PATH', 'echo "$0"', 'sh\n', { shell: ['sh', '-c'] }),
  fails('a shell with options', 'echo a; false; echo b', 1, {
    shell: ['/bin/sh', '-e', '-c'],
    expect: { stdout: 'a\n' },
  }),
  prints(
    'a program that is not a shell gets the script as its argument',
    'as  it is: $HOME',
    'as  it is: $HOME\n',
    { shell: ['/bin/echo'] },
  ),
  prints('$0 is the shell, and there are no arguments', 'echo "$0 $#"', '/bin/sh 0\n'),
  prints(
    'variables with the namespace, attempt and scheduled time',
    'echo "$SHELLCRON_NAMESPACE $SHELLCRON_ATTEMPT $SHELLCRON_SCHEDULED_TIME"',
    'table 1 2030-01-02T03:04:05.000Z\n',
  ),
  prints(
    'variables with the run, job and shard',
    'echo "${SHELLCRON_RUN_ID#table.$SHELLCRON_JOB.} $SHELLCRON_SHARD_INDEX/$SHELLCRON_SHARD_COUNT"',
    '1893553445000 0/1\n',
  ),
  prints('TRACEPARENT is set', 'echo "$TRACEPARENT"', /^00-[0-9a-f]{32}-[0-9a-f]{16}-01\n$/),
  prints(
    'no other variables',
    `env | grep -v -e ^SHELLCRON_ -e ^TRACEPARENT= | cut -d= -f1 | grep -v -e ^_$ -e ^SHLVL$ | sort | xargs`,
    'HOME LOGNAME PATH PWD SHELL USER\n',
    { hostOnly: true, expect: { onTty: 'HOME LOGNAME PATH PWD SHELL TERM USER\n' } },
  ),
  prints('variables of the job override the defaults', 'echo "$HOME $PATH"', '/elsewhere /bin\n', {
    env: { HOME: '/elsewhere', PATH: '/bin' },
    hostOnly: true,
  }),
  fails('an interpreter with an option', '#!/bin/sh -e\necho a; false; echo b', 1, {
    interpreter: ['/bin/sh', '-e'],
    expect: { stdout: 'a\n' },
  }),
  prints(
    'an interpreter that env finds',
    "#!/usr/bin/env perl\nprint 'perl ', __LINE__, qq(\\n);",
    'perl 2\n',
    {
      interpreter: ['/usr/bin/env', 'perl'],
      hostOnly: true,
    },
  ),
  prints(
    'an interpreter that runs as another user',
    '#!/bin/sh\nid -un; wc -c; echo "$0 $#"',
    'nobody\n0\n/proc/self/fd/3 0\n',
    {
      interpreter: ['/bin/sh'],
      user: 'nobody',
      hostOnly: true,
      pipesOnly: true,
    },
  ),
  prints(
    'an interpreter of a script that a pipe does not hold',
    `#!/bin/sh\n${'# long\n'.repeat(9_000)}wc -c; echo end`,
    '0\nend\n',
    {
      interpreter: ['/bin/sh'],
      pipesOnly: true,
    },
  ),
  startFails('a missing interpreter', 'NotFound', { interpreter: ['/no/such/interpreter'] }),
  prints(
    'limits of open files and core dumps',
    'ulimit -Sn; ulimit -Hn; ulimit -c; echo "$0 $#"',
    '100\n100\n8\n/bin/sh 0\n',
    {
      limits: { nofile: 100, core: 4_200 },
      user: 'nobody',
      hostOnly: true,
    },
  ),
  prints('limits of an interpreter', '#!/bin/sh\nulimit -n; echo "$0 $#"', '100\n/proc/self/fd/3 0\n', {
    limits: { nofile: 100 },
    interpreter: ['/bin/sh'],
    hostOnly: true,
  }),
  fails('a limit above the hard one', 'echo ran', 125, {
    limits: { nofile: 1_073_741_816 },
    user: 'nobody',
    hostOnly: true,
    expect: {
      stdout: '',
      stderr: /^shellcron: host.limits.nofile cannot be set: the hard limit of this machine is \d+\n$/,
    },
  }),
  prints(
    'variables of the machine, unless the job sets them',
    'echo "$LANG $https_proxy $PATH"',
    'C http://proxy:3128 /opt:/bin\n',
    {
      machineEnv: { LANG: 'C.UTF-8', https_proxy: 'http://proxy:3128', PATH: '/opt:/bin' },
      env: { LANG: 'C' },
      hostOnly: true,
    },
  ),
  prints('TERM, if there is a terminal', 'echo "${TERM-none}"', 'none\n', {
    expect: { onTty: 'xterm-256color\n' },
    hostOnly: true,
  }),
  // The login shell of nobody is /usr/sbin/nologin.
  prints(
    'SHELL is /bin/sh, and so programs that run a shell work',
    'echo $SHELL; flock /dev/null -c "echo ran"',
    '/bin/sh\nran\n',
    {
      user: 'nobody',
      hostOnly: true,
    },
  ),
  prints(
    'no locale or time zone of the agent',
    `echo "\${LANG-none} \${LC_ALL-none} \${TZ-none}"`,
    'none none none\n',
  ),
  prints('stdin, stdout and stderr are the only descriptors', 'ls /proc/self/fd | xargs', '0 1 2 3\n'),
  prints(
    'no signal blocked or ignored',
    // Signals 1 to 28: under GNU make, children inherit an ignored signal that the C library reserves for itself.
    `grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2 | cut -c10- | sort -u`,
    '0000000\n',
  ),
  prints(
    'its own session and process group',
    `cut -d' ' -f5,6 /proc/$$/stat | sed "s/$$/own/g"`,
    'own own\n',
    {
      hostOnly: true,
    },
  ),
  prints('the umask is 022', 'umask', '0022\n'),
  prints('limits can be lowered', 'ulimit -n 64; ulimit -n; ulimit -c 0; ulimit -c', '64\n0\n'),
  fails(
    'a lowered limit is enforced',
    `ulimit -f 1; head -c 100000 /dev/zero > /tmp/shellcron-big.$$; e=$?; rm -f /tmp/shellcron-big.$$; [ $e -eq 0 ]`,
    1,
  ),
  prints(
    '/dev/null, /dev/zero and /dev/urandom exist',
    'test -c /dev/null && test -r /dev/zero && head -c 4 /dev/urandom | wc -c',
    '4\n',
  ),
  fails('no terminal', `sh -c ': < /dev/tty' || exit 1`, 1, { pipesOnly: true }),
  prints('the clock can be read', 'date +%s', /^[12]\d{9}\n$/),
  prints('TZ of the job is used', 'date -d @0 +%H:%M', '09:00\n', { env: { TZ: 'UTC-9' } }),
  prints('/proc shows its own process', 'test -d /proc/$$ && echo yes', 'yes\n'),
]

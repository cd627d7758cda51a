import { type CommandRow, fails, says } from './row.ts'

/** What a command finds around it, and what not. */

const refused = (
  name: string,
  startFailure: NonNullable<CommandRow['expect']['startFailure']>,
  more: Partial<CommandRow>,
): CommandRow => ({ name, script: 'true', ...more, expect: { outcome: 'Failed', startFailure } })

export const surroundings: readonly CommandRow[] = [
  says('the root directory', 'pwd', '/\n', { hostOnly: true }),
  says('a working directory', 'pwd; cd ..; pwd', '/dev\n/\n', { workingDir: '/dev' }),
  refused('no such working directory', 'NoSuchDirectory', { workingDir: '/no/such/place' }),
  refused('a working directory that is a file', 'NoSuchDirectory', { workingDir: '/etc/passwd' }),
  refused('no such shell', 'NotFound', { shell: ['/no/such/shell', '-c'] }),
  refused('no such shell on PATH', 'NotFound', { shell: ['no-such-shell', '-c'] }),
  refused('a shell that is not executable', 'NotExecutable', { shell: ['/etc/passwd', '-c'] }),
  refused('a shell that is a directory', 'NotExecutable', { shell: ['/etc', '-c'] }),
  says('a shell found by PATH', 'echo "$0"', 'sh\n', { shell: ['sh', '-c'] }),
  fails('a shell with options', 'echo a; false; echo b', 1, {
    shell: ['/bin/sh', '-e', '-c'],
    expect: { stdout: 'a\n' },
  }),
  says('a shell that is none', 'as  it is: $HOME', 'as  it is: $HOME\n', { shell: ['/bin/echo'] }),
  says('its name and arguments', 'echo "$0 $#"', '/bin/sh 0\n'),
  says(
    'which run it is',
    'echo "$SHELLCRON_NAMESPACE $SHELLCRON_ATTEMPT $SHELLCRON_SCHEDULED_TIME"',
    'table 1 2030-01-02T03:04:05.000Z\n',
  ),
  says(
    'its run, job and shard',
    'echo "${SHELLCRON_RUN_ID#table.$SHELLCRON_JOB.} $SHELLCRON_SHARD_INDEX/$SHELLCRON_SHARD_COUNT"',
    '1893553445000 0/1\n',
  ),
  says('a trace', 'echo "$TRACEPARENT"', /^00-[0-9a-f]{32}-[0-9a-f]{16}-01\n$/),
  says(
    'no other variables',
    `env | grep -v -e ^SHELLCRON_ -e ^TRACEPARENT= | cut -d= -f1 | grep -v -e ^_$ -e ^SHLVL$ | sort | xargs`,
    'HOME LOGNAME PATH PWD SHELL USER\n',
    { hostOnly: true },
  ),
  says('a variable takes precedence', 'echo "$HOME $PATH"', '/elsewhere /bin\n', {
    env: { HOME: '/elsewhere', PATH: '/bin' },
    hostOnly: true,
  }),
  says('no locale of somebody else', `echo "\${LANG-none} \${LC_ALL-none} \${TZ-none}"`, 'none none none\n'),
  says('three descriptors', 'ls /proc/self/fd | xargs', '0 1 2 3\n'),
  says(
    'no signal blocked or ignored',
    // Signals 1 to 28: GNU make leaves to its children one that is the C library's own ignored.
    `grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2 | cut -c10- | sort -u`,
    '0000000\n',
  ),
  says('a session and a group of its own', `cut -d' ' -f5,6 /proc/$$/stat | sed "s/$$/own/g"`, 'own own\n', {
    hostOnly: true,
  }),
  says('an ordinary umask', 'umask', '0022\n'),
  says('limits can be lowered', 'ulimit -n 64; ulimit -n; ulimit -c 0; ulimit -c', '64\n0\n'),
  fails(
    'a lowered limit holds',
    `ulimit -f 1; head -c 100000 /dev/zero > /tmp/shellcron-big.$$; e=$?; rm -f /tmp/shellcron-big.$$; [ $e -eq 0 ]`,
    1,
  ),
  says('devices', 'test -c /dev/null && test -r /dev/zero && head -c 4 /dev/urandom | wc -c', '4\n'),
  fails('no terminal', `sh -c ': < /dev/tty' || exit 1`, 1, { pipesOnly: true }),
  says('the clock', 'date +%s', /^[12]\d{9}\n$/),
  says('a time zone is asked for', 'date -d @0 +%H:%M', '09:00\n', { env: { TZ: 'UTC-9' } }),
  says('its own process', 'test -d /proc/$$ && echo yes', 'yes\n'),
]

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SpoolUnreadable } from '../../../agent/launcher/pending-answers.ts'
import { bench, bytesOf, eventually, isAlive, launcherCommand, script } from './launcher.ts'
import { launcherForAll } from './launcher-for-each.ts'

const isRoot = process.getuid?.() === 0
/** A user of this machine with supplementary groups, if there is one. */
const memberOfMore = /^[^:]+:[^:]*:\d+:([^,\n]+)/m.exec(readFileSync('/etc/group', 'utf8'))?.[1]

describe('launcher: commands', () => {
  const agent = launcherForAll(() => bench(launcherCommand))
  const { run } = agent

  test('the record of a run has its exit code and its times', async () => {
    run(script('code', 'exit 37'))
    const record = await agent.ended('code')
    expect(record).toMatchObject({ cause: { kind: 'exited', code: 37 }, code: 37, signal: null })
    expect(record.endedAt).toBeGreaterThanOrEqual(record.startedAt ?? Infinity)
  })

  test('the record has the name of the signal that ended the command', async () => {
    run(script('signal', 'kill -USR1 $$'))
    expect(await agent.ended('signal')).toMatchObject({
      cause: { kind: 'signaled', signal: 'SIGUSR1' },
      code: null,
      signal: 'SIGUSR1',
    })
  })

  test('stdout and stderr are separate, in order, and counted', async () => {
    run(script('streams', 'for n in 1 2 3; do echo out $n; echo err $n >&2; done'))
    const record = await agent.ended('streams')
    const chunks = await agent.output('streams')
    expect(bytesOf(chunks, 'stdout').toString()).toBe('out 1\nout 2\nout 3\n')
    expect(bytesOf(chunks, 'stderr').toString()).toBe('err 1\nerr 2\nerr 3\n')
    expect(record).toMatchObject({ stdout: { bytes: 18, cut: 0 }, stderr: { bytes: 18, cut: 0 } })
    expect(record.tail).toContain('out 3')
    expect(record.tail).toContain('err 3')
  })

  test('a read of one stream returns only that stream, and waits for its next output', async () => {
    const gate = join(agent.stateDir, 'gate')
    run(
      script(
        'follow',
        `echo a; echo b >&2; until [ -e ${gate} ]; do sleep 0.02; done; echo c; : > /dev/null`,
      ),
    )
    await agent.started('follow')
    const first = await agent.launcher.read('follow', {
      offset: 0,
      length: 1,
      stream: 'stdout',
      waitMs: 30_000,
    })
    expect(bytesOf(first.bytes, 'stdout').toString()).toBe('a\n')
    expect(first.end).toBe(false)
    const waiting = agent.launcher.read('follow', {
      offset: first.next,
      length: 100,
      stream: 'stdout',
      waitMs: 30_000,
    })
    run(script('open the gate', `touch ${gate}`))
    expect(bytesOf((await waiting).bytes, 'stdout').toString()).toBe('c\n')
  })

  test('a read of length 0 waits for output and returns none of it', async () => {
    const gate = join(agent.stateDir, 'gate')
    run(script('wait', `until [ -e ${gate} ]; do sleep 0.02; done; echo a`))
    await agent.started('wait')
    const readNothing = (waitMs: number, offset = 0) =>
      agent.launcher.read('wait', { offset, length: 0, waitMs })
    expect(await readNothing(0)).toMatchObject({ next: 0, end: false })
    const waiting = readNothing(30_000)
    run(script('open the gate', `touch ${gate}`))
    expect((await waiting).bytes).toHaveLength(0)
    expect(await waiting).toMatchObject({ next: 0, end: false })
    await agent.ended('wait')
    const { bytes, next } = await agent.launcher.read('wait', { offset: 0, length: 100 })
    expect(bytesOf(bytes, 'stdout').toString()).toBe('a\n')
    expect(await readNothing(30_000, next)).toMatchObject({ next, end: true })
  })

  test('a truncated spool is read to its end, then the read fails with SpoolUnreadable', async () => {
    run(
      script('short', `echo one; sleep 0.1; printf '%99s' two >&2`),
      script('gone', 'echo gone'),
      script('silent', ''),
    )
    await Promise.all(['short', 'gone', 'silent'].map(id => agent.ended(id)))
    const spool = (id: string) => join(agent.stateDir, 'spool', id)
    const first = await agent.launcher.read('short', { offset: 0, length: 1 })
    truncateSync(spool('short'), first.next + 5)
    rmSync(spool('gone'))
    const short = await agent.launcher.read('short', { offset: 0, length: 1_000 })
    expect(bytesOf(short.bytes, 'stdout').toString()).toBe('one\n')
    expect(short.end).toBe(false)
    for (const [id, offset] of [
      ['short', short.next],
      ['gone', 0],
    ] as const)
      await expect(agent.launcher.read(id, { offset, length: 1_000 })).rejects.toThrow(SpoolUnreadable)
    expect(await agent.launcher.read('silent', { offset: 0, length: 1_000 })).toMatchObject({ end: true })
  })

  test('5 MB of binary output is kept byte for byte', async () => {
    run(
      script('binary', `head -c 5000000 /dev/urandom > ${agent.stateDir}/noise; cat ${agent.stateDir}/noise`),
    )
    await agent.ended('binary')
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
    const noise = readFileSync(join(agent.stateDir, 'noise'))
    expect(digest(bytesOf(await agent.output('binary'), 'stdout'))).toBe(digest(noise))
  })

  test('the tail is the last 512 bytes and starts at a whole character', async () => {
    run(script('tail', `printf 'x%.0s' $(seq 700); printf 'ä%.0s' $(seq 255); printf 'end'`))
    const { tail } = await agent.ended('tail')
    expect(tail).toBe(`${'ä'.repeat(254)}end`)
  })

  test('output above the limit is cut, and the record and the spool have the number of cut bytes', async () => {
    run(script('limit', `printf '%5000s' a; printf 'the end'`, { outputLimit: 1_000 }))
    const record = await agent.ended('limit')
    expect(record.stdout).toEqual({ bytes: 1_000, cut: 4_007 })
    expect(record.tail).toMatch(/the end$/)
    const chunks = await agent.output('limit')
    expect(bytesOf(chunks, 'stdout')).toHaveLength(1_000)
    expect(chunks.at(-1)).toMatchObject({ stream: 'cut', stdout: 4_007, stderr: 0 })
  })

  test('a command of any user can open /dev/stdout and /dev/stderr', async () => {
    run(script('devices', 'echo out > /dev/stdout; echo err > /dev/stderr', isRoot ? { user: 'nobody' } : {}))
    expect(await agent.ended('devices')).toMatchObject({
      code: 0,
      stdout: { bytes: 4 },
      stderr: { bytes: 4 },
    })
  })

  test('the environment is the given one, plus PATH if it is not given', async () => {
    run({ ...script('env', ''), argv: ['/usr/bin/env'], env: { A: '1', B: 'two words' } })
    await agent.ended('env')
    const lines = bytesOf(await agent.output('env'), 'stdout')
      .toString()
      .trim()
      .split('\n')
    expect(lines.filter(line => !line.startsWith('PATH=')).sort()).toEqual(['A=1', 'B=two words'])
    expect(lines).toHaveLength(3)
    run({ ...script('path', ''), argv: ['/usr/bin/env'], env: { PATH: '/bin' } })
    await agent.ended('path')
    expect(bytesOf(await agent.output('path'), 'stdout').toString()).toBe('PATH=/bin\n')
  })

  test('a command has three descriptors, an empty stdin and its own session', async () => {
    run(script('clean', 'ls /proc/self/fd | wc -l; wc -c; cut -d" " -f1,5,6 /proc/$$/stat'))
    await agent.ended('clean')
    const [descriptors, stdin, ids] = bytesOf(await agent.output('clean'), 'stdout')
      .toString()
      .trim()
      .split('\n')
    expect(descriptors?.trim()).toBe('4')
    expect(stdin?.trim()).toBe('0')
    expect(new Set(ids?.split(' ')).size).toBe(1)
  })

  test('the command reads the given stdin', async () => {
    run(script('stdin', 'wc -c', { stdin: Buffer.alloc(300_000).toString('base64') }))
    expect((await agent.ended('stdin')).tail.trim()).toBe('300000')
  })

  test('the command runs in the given working directory', async () => {
    run(script('pwd', 'pwd', { workingDir: '/usr' }))
    expect((await agent.ended('pwd')).tail).toBe('/usr\n')
  })

  test.runIf(isRoot)(
    'a command runs as its user and group, with the primary group of the user as the default',
    async () => {
      run(script('user', 'id -un; id -gn; id -Gn', { user: 'nobody' }))
      expect((await agent.ended('user')).tail).toBe('nobody\nnogroup\nnogroup\n')
      run(script('group', 'id -un; id -gn; id -Gn', { user: 'nobody', group: 'daemon' }))
      expect((await agent.ended('group')).tail).toBe('nobody\ndaemon\ndaemon\n')
      run(script('number', 'id -u; id -g', { user: '4321', group: '4321' }))
      expect((await agent.ended('number')).tail).toBe('4321\n4321\n')
      run(
        script('home', 'echo $HOME $USER $LOGNAME $SHELL', {
          user: 'daemon',
          userEnv: true,
          env: { SHELL: 'mine' },
        }),
      )
      expect((await agent.ended('home')).tail).toBe('/usr/sbin daemon daemon mine\n')
    },
  )

  test.runIf(isRoot && memberOfMore)('a command has the supplementary groups of its user', async () => {
    run(script('groups', 'id -u; id -G', { user: memberOfMore ?? '' }))
    const expected = execFileSync('sh', ['-c', `id -u ${memberOfMore}; id -G ${memberOfMore}`], {
      encoding: 'utf8',
    })
    expect((await agent.ended('groups')).tail).toBe(expected)
  })

  test.each<[string, Partial<ReturnType<typeof script>>, number | null, string]>([
    ['a missing program', { argv: ['/no/such/shell', '-c', 'true'] }, 127, 'NotFound'],
    ['a name that is not on PATH', { argv: ['no-such-program'] }, 127, 'NotFound'],
    ['a file that is not executable', { argv: ['/etc/passwd'] }, 126, 'NotExecutable'],
    ['a missing directory', { workingDir: '/no/such/place' }, null, 'NoSuchDirectory'],
    ['an unknown user', { user: 'no-such-user' }, null, 'NoSuchUser'],
    ['an unknown group', { group: 'no-such-group' }, null, 'NoSuchGroup'],
    ['an unknown uid without a group', { user: '4321' }, null, 'NoSuchGroup'],
  ])('%s is a failed start with its reason', async (name, more, code, reason) => {
    run(script(name, 'true', more))
    expect(await agent.ended(name)).toMatchObject({
      cause: { kind: 'startFailed', reason },
      code,
      startedAt: null,
    })
  })

  test('an order is refused if it is malformed or needs a feature that the launcher does not have', async () => {
    run(script('no argv', '', { argv: [] }))
    expect(await agent.refused('no argv')).toBe('Invalid')
    run(script('bad env', '', { env: { 'A=B': 'c' } }))
    expect(await agent.refused('bad env')).toBe('Invalid')
    if (agent.launcher.features.has('resources')) return
    run(script('limits', 'true', { resources: { pids: 10 } }))
    expect(await agent.refused('limits')).toBe('Unsupported')
  })

  test('an id may contain any characters', async () => {
    const ids = ['../../escape', '.', '..', 'a/b', 'ü ∞', 'x'.repeat(5_000), `${'x'.repeat(5_000)}y`]
    run(...ids.map((id, n) => script(id, `echo ${n}`)))
    for (const [n, id] of ids.entries()) {
      await agent.ended(id)
      expect(bytesOf(await agent.output(id), 'stdout').toString()).toBe(`${n}\n`)
    }
  })

  test('the record of a run has its labels', async () => {
    run(script('labels', 'true', { labels: { job: 'a' } }))
    expect((await agent.ended('labels')).labels).toEqual({ job: 'a' })
  })

  test('a background child is killed when its command ends', async () => {
    run(script('background', 'sleep 1000 > /dev/null 2>&1 & echo $!'))
    const pid = Number((await agent.ended('background')).tail)
    await eventually('the child is dead', () => !isAlive(pid))
  })

  test('a run with a mark ends although its daemon holds the pipes open, and the daemon is killed', async () => {
    run(script('daemon', 'setsid sh -c "sleep 1000 & echo \\$!" & wait; exit 4', agent.marked()))
    const record = await agent.ended('daemon')
    expect(record.code).toBe(4)
    await eventually('the daemon is dead', () => !isAlive(Number(record.tail)))
  })

  test('a run without a mark ends although its daemon holds the pipes open, and the daemon is killed', async () => {
    run(script('unmarked', 'setsid sh -c "sleep 1000 & echo \\$!" & wait'))
    const record = await agent.ended('unmarked')
    expect(record.code).toBe(0)
    await eventually('the daemon is dead', () => !isAlive(Number(record.tail)))
  })

  test('only the owner can read the state directory', () => {
    for (const name of ['launcher.sock', 'launcher.journal', 'launcher.log'])
      expect(statSync(join(agent.stateDir, name)).mode & 0o777).toBe(0o600)
    expect(statSync(join(agent.stateDir, 'spool')).mode & 0o777).toBe(0o700)
  })
})

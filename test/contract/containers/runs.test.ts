import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { launcherBinary } from '../../../scripts/go-programs.ts'
import type { TestMachine } from '../../servers/machine.ts'
import { bench, bytesOf, eventually, farAway, SESSION } from '../launcher/launcher.ts'
import { launcherForAll } from '../launcher/launcher-for-each.ts'
import { inside, type Runtime, reportOf, runtimes, type StartedContainer } from './suite.ts'

const launcher = await launcherBinary()

describe.each(runtimes)('a command in a container of %s', (_, start) => {
  let runtime: Runtime
  let web: StartedContainer
  let n = 0
  afterAll(() => runtime?.machine.stop())
  const agent = launcherForAll(async () => {
    runtime = await start()
    web = await runtime.container({ app: 'web' })
    return bench([...runtime.machine.enter, launcher], '', {})
  })

  type More = Omit<Parameters<typeof inside>[2], 'id' | 'script'>
  const arm = (script: string, more: More = {}, app = 'web') => {
    const id = `run-${n++}`
    agent.launcher.arm([inside(runtime, app, { id, script, ...more })])
    return id
  }
  const run = async (script: string, more?: More, app?: string) => {
    const id = arm(script, more, app)
    const record = await agent.ended(id)
    const chunks = await agent.output(id)
    return {
      record,
      report: reportOf(record),
      stdout: bytesOf(chunks, 'stdout'),
      text: String(bytesOf(chunks, 'stdout')),
      errors: String(bytesOf(chunks, 'stderr')),
    }
  }
  /** Processes in the machine whose command line contains this word. */
  const alive = (word: string) =>
    readdirSync('/proc').filter(pid => /^\d+$/.test(pid) && commandLine(pid).split('\0').includes(word))
  const noGroupIsLeft = () =>
    eventually(
      () => `no cgroup is left: ${groupsIn(runtime.machine.cgroupParent).map(membersOf).join('; ')}`,
      () => groupsIn(runtime.machine.cgroupParent).length === 0,
    )
  /** Starts a script, and waits until it has written `begun`. */
  const begun = async (script: string, more?: More, app?: string) => {
    const id = arm(script, more, app)
    await agent.launcher.read(id, { offset: 0, length: 1, waitMs: 60_000 })
    return id
  }

  test('has its stdout, stderr and exit code', async () => {
    const { record, text, errors } = await run('echo out; echo err >&2; exit 3')
    expect(record).toMatchObject({ cause: { kind: 'exited', code: 3 } })
    expect(record).not.toHaveProperty('told')
    expect([text, errors]).toEqual(['out\n', 'err\n'])
  })

  test("has its image's environment and the given variables, whatever they contain", async () => {
    const env = {
      QUOTES: `'it''s' "x" $HOME \`id\` \\ `,
      LINES: '\n\na\n\n',
      BYTES: 'é€😀\t\u0001\u0080',
      PATH: '/bin',
      UID: '7',
    }
    const { stdout } = await run('printf %s "$QUOTES$LINES$BYTES"; echo "$FROM_IMAGE"', { env })
    expect(String(stdout)).toBe(`${env.QUOTES}${env.LINES}${env.BYTES}yes\n`)
  })

  test('has an empty stdin, its directory and its shell', async () => {
    const command = { workingDir: '/tmp', shell: ['/bin/busybox', 'ash', '-c'] }
    const { text } = await run('wc -c; pwd; name=$(tr "\\0" " " < /proc/$$/cmdline); echo "$name"', {
      command,
    })
    expect(text).toMatch(/^0\n\/tmp\n\/bin\/busybox ash -c wc/)
  })

  test('fails with a reason if its container, directory or shell is missing', async () => {
    const reason = async (command: object, app?: string) =>
      (await run('true', { command }, app)).report.reason
    expect(await reason({ workingDir: '/no/such' })).toBe('NoSuchDirectory')
    expect(await reason({ shell: ['/bin/zsh', '-c'] })).toBe('NoSuchShell')
    expect(await reason({ shell: ['zsh', '-c'] })).toBe('NoSuchShell')
    expect(await reason({}, 'absent')).toBe('ContainerNotFound')
    const bare = await runtime.container({ app: 'bare', image: 'noshell' })
    expect(await reason({}, 'bare')).toBe('NoSuchShell')
    await bare.stop()
    expect(await reason({}, 'bare')).toBe('ContainerNotRunning')
    await bare.remove()
    expect(await reason({}, 'bare')).toBe('ContainerNotFound')
    const nowhere = inside({ socket: '/no/such.sock' }, 'web', { id: 'nowhere', script: 'true' })
    agent.launcher.arm([nowhere])
    expect(reportOf(await agent.ended('nowhere')).reason).toBe('RuntimeUnavailable')
  })

  test('exits with 127 if it is not found, with 126 if it cannot be executed, with 128 + n for signal n', async () => {
    expect((await run('no-such-command')).record.code).toBe(127)
    expect((await run('/etc/passwd')).record.code).toBe(126)
    expect((await run('kill -TERM $$')).record.code).toBe(143)
    expect((await run('kill -KILL $$')).record).toMatchObject({ code: 137 })
  })

  test('loses and changes no byte', async () => {
    const { stdout, record } = await run('i=0; while [ $i -lt 40 ]; do cat /bin/busybox; i=$((i+1)); done')
    const busybox = readFileSync('/bin/busybox')
    const expected = createHash('sha256')
    for (let i = 0; i < 40; i++) expected.update(busybox)
    expect(createHash('sha256').update(stdout).digest('hex')).toBe(expected.digest('hex'))
    expect(record.stdout).toEqual({ bytes: 40 * busybox.length, cut: 0 })
  })

  test('can write a line of 10 MB', async () => {
    const { stdout } = await run('head -c 10000000 /dev/zero | tr "\\0" x; echo')
    expect(stdout.length).toBe(10_000_001)
    expect(stdout.indexOf('\n')).toBe(10_000_000)
  })

  test('has its Secret in no command line', async () => {
    const secret = 'a-secret-of-the-test'
    const id = await begun('echo begun; sleep 30', { env: { SECRET: secret } })
    const shown = readdirSync('/proc').filter(pid => /^\d+$/.test(pid) && commandLine(pid).includes(secret))
    expect(shown).toEqual([])
    agent.launcher.kill([id], 'Test')
    await agent.ended(id)
  })

  test('does not wait for processes that it leaves behind, and they are killed', async () => {
    const { record, text } = await run(
      'sleep 3001 & (setsid sleep 3002 &) ; (setsid sh -c "sleep 3003 & exit 0" > /dev/null) ; echo left; exit 4',
    )
    expect(record.code).toBe(4)
    expect(text).toBe('left\n')
    await eventually('no process is left', () =>
      ['3001', '3002', '3003'].every(word => alive(word).length === 0),
    )
  })

  test('continues with closed streams', async () => {
    expect((await run('exec >&- 2>&- <&-; sleep 0.3; exit 5')).record.code).toBe(5)
  })

  test('gets SIGTERM in all its processes when killed, and its last output is kept', async () => {
    const id = await begun('trap "echo ending; exit 9" TERM; sleep 3004 & echo begun; wait')
    agent.launcher.kill([id], 'Test')
    const record = await agent.ended(id)
    expect(record).toMatchObject({ cause: { kind: 'killed', reason: 'Test' }, code: 9 })
    expect(record.tail).toContain('ending\n')
    await eventually('no process is left', () => alive('3004').length === 0)
  })

  test('ends at its deadline, with SIGKILL if it ignores SIGTERM', async () => {
    const { record } = await run('trap "" TERM; setsid sleep 3005 & while :; do sleep 0.1; done', {
      deadlineMs: 700,
      graceMs: 300,
    })
    expect(record.cause).toEqual({ kind: 'timedOut' })
    await eventually('no process is left', () => alive('3005').length === 0)
  })

  /** Podman closes the output at the end of the shell, so the handlers make a file. */
  const isHandled = async () => expect((await run('rm /tmp/handled && echo yes')).text).toBe('yes\n')

  test('gives its children their grace when its shell dies at once', async () => {
    const handler = `sh -c 'trap "sleep 1; touch /tmp/handled; exit 0" TERM; echo begun >&3; exec 3>&-; while :; do sleep 0.1; done'`
    const id = await begun(`exec 3>&1; ${handler} > /dev/null 2>&1\necho done`)
    agent.launcher.kill([id], 'Replaced')
    const record = await agent.ended(id)
    expect(record).toMatchObject({ cause: { kind: 'killed', reason: 'Replaced' } })
    await isHandled()
  })

  test('ends what outlives its script with SIGTERM, and says so', async () => {
    const daemon = `setsid sh -c 'trap "sleep 1; touch /tmp/handled; exit 0" TERM; touch /tmp/up; while :; do sleep 0.1; done'`
    const { record, report } = await run(
      `rm -f /tmp/up; ${daemon} > /dev/null 2>&1 & while [ ! -e /tmp/up ]; do sleep 0.05; done; exit 4`,
    )
    expect(record).toMatchObject({ cause: { kind: 'exited', code: 4 } })
    await isHandled()
    expect(report.message).toMatch(/^2 processes outlived the script and were ended \(leftovers: Kill\): /)
  })

  test('with leftovers Leave, what outlives its script goes on in the container', async () => {
    const { record, report } = await run('setsid sleep 3011 > /dev/null 2>&1 & echo started', {
      command: { leftovers: 'Leave' },
    })
    expect(record).toMatchObject({ cause: { kind: 'exited', code: 0 }, tail: 'started\n' })
    expect(report.message).toMatch(
      /^1 process outlived the script and goes on \(leftovers: Leave\): sleep \(/,
    )
    await noGroupIsLeft()
    const left = alive('3011')
    expect(left).toHaveLength(1)
    process.kill(Number(left[0]), 'SIGKILL')
  })

  test('keeps all output until it was killed, and its exit code', async () => {
    const endless = 'while :; do printf %01000d 0; echo >> /tmp/written; done'
    const id = await begun(`trap "" TERM; echo begun; ${endless}`, { graceMs: 500 })
    agent.launcher.kill([id], 'Test')
    expect(await agent.ended(id)).toMatchObject({ cause: { kind: 'killed', reason: 'Test' }, code: 137 })
    const stdout = bytesOf(await agent.output(id), 'stdout')
    const written = Number((await run('wc -l < /tmp/written; rm /tmp/written')).text)
    expect(written).toBeGreaterThan(0)
    expect(stdout.length).toBeGreaterThanOrEqual(1_000 * written)
  })

  test('ends when it is fenced or its launcher dies', async () => {
    const id = await begun('trap "" TERM; echo begun; setsid sleep 3006 & sleep 3006')
    process.kill(outerPid(runtime.machine, agent.launcher.pid), 'SIGKILL')
    await agent.connect()
    expect((await agent.ended(id)).cause).toEqual({ kind: 'lost', reason: 'LauncherDied' })
    await eventually('no process is left', () => alive('3006').length === 0)
    agent.launcher.fence(SESSION, farAway())
    const fenced = await begun('trap "" TERM; echo begun; setsid sleep 3007 & sleep 3007')
    agent.launcher.fence(SESSION, 0)
    expect((await agent.ended(fenced)).cause).toEqual({ kind: 'fenced' })
    await eventually('no process is left', () => alive('3007').length === 0)
    agent.launcher.fence(SESSION, farAway())
  })

  test('leaves no control groups if the launcher dies right after its end', async () => {
    const id = await begun('trap "" TERM; echo begun; setsid sleep 3010 & sleep 3010', { graceMs: 100 })
    agent.launcher.kill([id], 'Test')
    await agent.ended(id)
    process.kill(outerPid(runtime.machine, agent.launcher.pid), 'SIGKILL')
    await agent.connect()
    await noGroupIsLeft()
    expect(alive('3010')).toEqual([])
    agent.launcher.fence(SESSION, farAway())
  })

  test('does not outlive the helper that started it', async () => {
    const id = await begun('trap "" TERM; echo begun; setsid sleep 3009 & sleep 3009')
    process.kill(outerPid(runtime.machine, (await agent.started(id)).pid), 'SIGKILL')
    expect((await agent.ended(id)).cause).toEqual({ kind: 'signaled', signal: 'SIGKILL' })
    await eventually('no process is left', () => alive('3009').length === 0)
  })

  test('continues while no agent is connected', async () => {
    const id = await begun('echo begun; sleep 0.5; echo later')
    agent.launcher.close()
    await agent.connect()
    expect((await agent.ended(id)).tail).toBe('begun\nlater\n')
  })

  test.each(['stop', 'remove'] as const)(
    'ends with its container after %s, and that is its reason',
    async how => {
      const short = await runtime.container({ app: 'short' })
      const id = await begun('echo begun; sleep 3008', {}, 'short')
      await short[how]()
      expect(reportOf(await agent.ended(id)).reason).toBe('ContainerGone')
      if (how === 'stop') await short.remove()
    },
  )

  test('is killed if it exceeds the memory limit of the container', async () => {
    const tight = await runtime.container({ app: 'tight', memory: 64 * 1024 ** 2 })
    const { report, record } = await run('head -c 300000000 /dev/zero | tail; exit 137', {}, 'tight')
    expect([record.code, report.oom]).toEqual([137, true])
    await tight.remove()
  })

  test('has a terminal with a size, one stream and no input', async () => {
    const { record, text } = await run(
      'stty size; tty; test -t 0 && test -t 1 && test -t 2 && echo all; echo err >&2; cat; exit 6',
      {
        env: { TYPED: '\u0003\u0004' },
        command: { tty: true },
      },
    )
    expect(text).toMatch(/^24 80\r\n\/dev\/pts\/\d+\r\nall\r\nerr\r\n$/)
    expect(record).toMatchObject({ code: 6, stderr: { bytes: 0 } })
  })

  test("runs in the oldest container with One, in all with Each; each line has its container's name", async () => {
    const two = await runtime.container({ app: 'two' })
    const all = {
      container: {
        selector: {
          matchLabels: {},
          matchExpressions: [{ key: 'app', operator: 'In', values: ['web', 'two'] }],
        },
      },
    }
    const one = (pick: 'One' | 'Each') => ({ command: { container: { ...all.container, pick } } })
    const name = 'cat /proc/sys/kernel/random/boot_id > /dev/null; '
    expect((await run(`${name} echo one`, one('One'))).text).toBe('one\n')
    const each = await run('printf "a\\nb"; exit 0', one('Each'))
    expect(each.text.split('\n').sort()).toEqual(
      [
        '',
        ...['two', 'web'].flatMap(app => ['a', 'b'].map(line => `${runtime.nameOf(app)} | ${line}`)),
      ].sort(),
    )
    const failing = await run('mkdir /tmp/first || exit 0; exit 3', one('Each'))
    expect(failing.record.code).toBe(3)
    expect(failing.report.message).toMatch(/^failed in 2 of 2 containers: /)
    await two.remove()
  })

  test('leaves nothing in the container or its control groups', async () => {
    agent.launcher.forget((await agent.launcher.runs()).map(({ id }) => id))
    // Orphans that are not waited for belong to the container's first process.
    const living = () => run('ps -o stat,args > /tmp/all; grep -v "^Z" /tmp/all | wc -l')
    // That process, the shell, ps, and ps's heading.
    await eventually('no other process is left', async () => (await living()).text === '4\n')
    await noGroupIsLeft()
    await web.stop()
  })
})

/** Control groups of commands below this one. `find` fails if others disappear meanwhile. */
function groupsIn(parent: string): string[] {
  const args = ['/sys/fs/cgroup', '-path', `*${parent}/*/shellcron-*`, '-type', 'd']
  return spawnSync('find', args, { encoding: 'utf8' }).stdout.split('\n').filter(Boolean)
}

/** The group, and its processes. */
function membersOf(group: string): string {
  const { stdout } = spawnSync('cat', [`${group}/cgroup.procs`], { encoding: 'utf8' })
  const pids = stdout.split('\n').filter(Boolean)
  return [group, ...pids.map(pid => `${pid} ${commandLine(pid)}`)].join(' ')
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** The pid on the host of a process with this pid in the machine. Other machines have a process with the same pid. */
function outerPid({ namespace }: TestMachine, inner: number): number {
  const found = readdirSync('/proc').find(pid => {
    try {
      const isInside = /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/ns/pid`) === namespace
      return (
        isInside &&
        readFileSync(`/proc/${pid}/status`, 'utf8').match(/^NSpid:.*\t(\d+)$/m)?.[1] === `${inner}`
      )
    } catch {
      return false
    }
  })
  return Number(found)
}

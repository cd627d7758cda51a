import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, type TestContext, test } from 'vitest'
import { bench, eventually, isAlive, launcherCommand, script } from './launcher.ts'
import { launcherForAll } from './launcher-for-each.ts'

const isRoot = process.getuid?.() === 0

describe('launcher: features', () => {
  const agent = launcherForAll(() => bench(launcherCommand))
  const { run } = agent
  /** Limits need control groups that the launcher can write to. */
  const requireFeature = (feature: 'resources' | 'oom', { skip }: TestContext) => {
    if (!agent.launcher.features.has(feature)) skip(`the launcher has no ${feature} on this machine`)
  }

  const tty = { columns: 132, rows: 43 }

  test('a run with tty has a controlling terminal of the given size as stdin, stdout and stderr', async () => {
    run(
      script('tty', 'stty size; test -t 1 && test -t 2 && echo err >&2; echo in charge > /dev/tty', { tty }),
    )
    expect(await agent.ended('tty')).toMatchObject({
      code: 0,
      tail: '43 132\r\nerr\r\nin charge\r\n',
      stderr: { bytes: 0, cut: 0 },
    })
  })

  test.runIf(isRoot)('the terminal belongs to the user of the command', async () => {
    run(script('own tty', 'stat -c %U "$(tty)"; echo again > "$(tty)"', { tty, user: 'nobody' }))
    expect((await agent.ended('own tty')).tail).toBe('nobody\r\nagain\r\n')
  })

  test('a terminal delivers the given stdin without echo, then end-of-file', async () => {
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    run(script('typed', 'cat', { tty, stdin: base64('a line\nand a rest') }))
    expect((await agent.ended('typed')).tail).toBe('a line\r\nand a rest')
    run(script('nothing typed', 'cat; echo over', { tty }))
    expect((await agent.ended('nothing typed')).tail).toBe('over\r\n')
    run(script('much typed', 'wc -l', { tty, stdin: base64('a line of some length\n'.repeat(20_000)) }))
    expect((await agent.ended('much typed')).tail.trim()).toBe('20000')
  })

  test('a run ends although its daemon holds the terminal open', async () => {
    run(script('held tty', `trap '' HUP; setsid sleep 1000 & exit 3`, { tty }))
    expect((await agent.ended('held tty')).code).toBe(3)
  })

  test('the record has the CPU time and memory of the command and its children', async () => {
    run(script('rusage', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sh -c "exit 0"'))
    const { rusage } = await agent.ended('rusage')
    expect((rusage?.userMs ?? 0) + (rusage?.systemMs ?? 0)).toBeGreaterThan(10)
    expect(rusage?.maxRssBytes).toBeGreaterThan(500_000)
  })

  test('a command that exceeds its memory limit is killed, and its record has oom', async context => {
    requireFeature('oom', context)
    run(script('oom', 'head -c 300000000 /dev/zero | tail', { resources: { memoryBytes: 32 * 1024 ** 2 } }))
    expect(await agent.ended('oom')).toMatchObject({ oom: true })
    run(script('enough', 'true', { resources: { memoryBytes: 32 * 1024 ** 2 } }))
    expect(await agent.ended('enough')).toMatchObject({ oom: false, code: 0 })
  })

  test('a child that exceeds the memory limit, or is refused by the limit of processes, is in the record of a script that succeeds', async context => {
    requireFeature('oom', context)
    const hungry = 'sh -c "head -c 300000000 /dev/zero | tail > /dev/null"\nexit 0'
    run(script('hungry', hungry, { resources: { memoryBytes: 64 * 1024 ** 2 } }))
    expect(await agent.ended('hungry')).toMatchObject({ oom: true })
    const crowd = 'for n in 1 2 3 4 5 6; do sh -c "sleep 0.2 &"; done; exec true'
    run(script('crowd', `(${untilLimited('3', 'pids.max')})\n(${crowd})\nexit 0`, { resources: { pids: 3 } }))
    expect(await agent.ended('crowd')).toMatchObject({ code: 0, pidsRefused: true })
    run(script('few', 'true', { resources: { pids: 100 } }))
    expect(await agent.ended('few')).not.toHaveProperty('pidsRefused')
  })

  test('a run cannot have more processes than its limit, the command included', async context => {
    requireFeature('resources', context)
    const many = `${untilLimited('4', 'pids.max')}; for n in 1 2 3 4 5 6; do sleep 1000 & echo $n; done`
    run(script('pids', many, { resources: { pids: 4 } }))
    expect((await agent.ended('pids')).tail).toMatch(/^1\n2\n3\n(?!4\n)/)
    run(script('one', 'exec echo alone', { resources: { pids: 1 } }))
    expect((await agent.ended('one')).tail).toBe('alone\n')
  })

  test('a fork bomb stays within its process limit and is killed at its deadline', async context => {
    requireFeature('resources', context)
    const bomb = 'trap "" TERM; b() { b | b & wait; }; sleep 1000 & long=$!; b & wait $long'
    run(
      script('bomb', bomb, {
        resources: { pids: 40 },
        deadlineMs: 500,
        graceMs: 200,
        ...agent.marked(),
      }),
    )
    expect(await agent.ended('bomb')).toMatchObject({ cause: { kind: 'timedOut' } })
    await eventually('no process of the run is alive', () => withMark(agent.marked().mark) === 0)
  })

  test('the CPU share is limited', async context => {
    requireFeature('resources', context)
    const untilCpuLimited = untilLimited('50000', 'cpu.max', 'cpu.cfs_quota_us')
    run(script('cpu', untilCpuLimited, { resources: { cpuMillis: 500 }, deadlineMs: 10_000 }))
    expect((await agent.ended('cpu')).cause).toEqual({ kind: 'exited', code: 0 })
  })

  test('a command of a user other than root cannot gain privileges unless its order allows it', async () => {
    const readNoNewPrivs = 'grep NoNewPrivs /proc/self/status'
    run(script('bound', readNoNewPrivs, isRoot ? { user: 'nobody' } : {}))
    expect((await agent.ended('bound')).tail).toBe('NoNewPrivs:\t1\n')
    run(
      script('gains', readNoNewPrivs, {
        allowPrivilegeEscalation: true,
        ...(isRoot ? { user: 'nobody' } : {}),
      }),
    )
    expect((await agent.ended('gains')).tail).toBe('NoNewPrivs:\t0\n')
    if (!isRoot) return
    run(script('free', readNoNewPrivs))
    expect((await agent.ended('free')).tail).toBe('NoNewPrivs:\t0\n')
  })

  test('a daemon of a run without a mark is killed when the run ends', async () => {
    run(script('unmarked', 'setsid sh -c "sleep 1000 & echo \\$!" < /dev/null & wait'))
    const { tail } = await agent.ended('unmarked')
    await eventually('the daemon is dead', () => !isAlive(Number(tail)))
  })

  test('the launcher reaps orphans', async () => {
    run(script('orphans', 'for n in 1 2 3 4 5; do setsid sh -c "sleep 0.01 &"; done; sleep 0.3'))
    await agent.ended('orphans')
    await eventually('there is no zombie', () =>
      childrenOf(agent.launcher.pid).every(state => !state.startsWith('Z')),
    )
  })

  test('a hundred runs leave no descriptor, zombie, control group or spool file', async () => {
    const folder = `/proc/${agent.launcher.pid}/fd`
    const groups = () => execFileSync('sh', ['-c', FIND_GROUPS, 'sh', own], { encoding: 'utf8' }).trim()
    run(script('first', 'grep -o "shellcron-[^/]*" /proc/self/cgroup | head -n 1'))
    const own = (await agent.ended('first')).tail.trim() || 'none'
    const before = readdirSync(folder).length
    const ids = Array.from({ length: 100 }, (_, n) => `trace-${n}`)
    run(...ids.map(id => script(id, 'echo out; setsid sleep 1000 > /dev/null 2>&1 < /dev/null & exit 0')))
    await Promise.all(ids.map(id => agent.ended(id)))
    agent.launcher.forget((await agent.launcher.runs()).map(({ id }) => id))
    await eventually('no run, control group, child or extra descriptor is left', async () => {
      if ((await agent.launcher.runs()).length > 0 || groups() !== '') return false
      return childrenOf(agent.launcher.pid).length === 0 && readdirSync(folder).length <= before
    })
    expect(readdirSync(join(agent.stateDir, 'spool'))).toEqual([])
  })
})

/** `find` fails if a folder disappears while it runs. */
const FIND_GROUPS = 'find /sys/fs/cgroup -maxdepth 6 -type d -path "*/$1/runs/run-*" 2> /dev/null || :'

function childrenOf(pid: number): string[] {
  const states = execFileSync('ps', ['-eo', 'ppid=,stat='], { encoding: 'utf8' }).trim().split('\n')
  return states
    .map(line => line.trim().split(/\s+/))
    .filter(([parent]) => Number(parent) === pid)
    .map(([, state]) => state ?? '')
}

/** A script that waits until one of these files of the run's control group begins with the value. With cgroup v1, limits are set after the start. */
function untilLimited(value: string, ...files: string[]): string {
  const paths = files.map(file => `-path "*/$group/${file}"`).join(' -o ')
  return `
    group=$(grep -o "shellcron-.*" /proc/self/cgroup | head -n 1)
    until cat $(find /sys/fs/cgroup ${paths} 2> /dev/null) | grep -q "^${value}"; do sleep 0.02; done`
}

function withMark(mark: string): number {
  const found = execFileSync('sh', ['-c', `grep -lzsx '${mark}' /proc/[0-9]*/environ | wc -l`], {
    encoding: 'utf8',
  })
  return Number(found)
}

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { connectLauncher } from '../../../agent/launcher/client.ts'
import { ensureLauncher } from '../../../agent/launcher/start.ts'
import { boottimeMs } from '../../../platform/boottime.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLog } from '../../../platform/log.ts'
import {
  bench,
  bytesOf,
  eventually,
  farAway,
  isAlive,
  launcherCommand,
  listenTo,
  SESSION,
  script,
} from './launcher.ts'
import { launcherForEach } from './launcher-for-each.ts'

/** Limits the descriptors of a process. Open ones stay open. */
const limitDescriptors = (pid: number, most: number) =>
  execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${most}:`])

describe('launcher: ends, fences, lives', () => {
  const agent = launcherForEach(launcherCommand)
  const { run } = agent
  const later = () => Date.now() + 3_600_000

  describe('instants', () => {
    test('a run never starts before its instant', async () => {
      const at = Date.now() + 700
      run(...[0, 1, 2, 3, 4].map(n => script(`${n}`, 'date +%s%3N', { at: at + n * 7 })))
      for (const n of [0, 1, 2, 3, 4]) {
        const record = await agent.ended(`${n}`)
        expect(Number(record.tail)).toBeGreaterThanOrEqual(at + n * 7)
        expect(record.startedAt).toBeGreaterThanOrEqual(at + n * 7)
      }
    })

    test('a run whose instant has passed starts at once', async () => {
      run(script('past', 'exit 1', { at: Date.now() - 86_400_000 }))
      expect((await agent.ended('past')).code).toBe(1)
    })

    test('a run that is armed twice starts once, and its end is reported again', async () => {
      const log = join(agent.stateDir, 'starts')
      const order = script('twice', `echo x >> ${log}`)
      run(order, order)
      await agent.ended('twice')
      run(order)
      await eventually(
        'its end is reported again',
        () => agent.events.filter(event => event.type === 'ended').length === 2,
      )
      run(script('after', 'true'))
      await agent.ended('after')
      expect(readFileSync(log, 'utf8')).toBe('x\n')
    })

    test('the launcher answers requests while it starts 200 runs of one instant', async () => {
      const ids = Array.from({ length: 200 }, (_, n) => `burst-${n}`)
      run(...ids.map(id => script(id, 'exit 5', { at: Date.now() + 400 })))
      const seen = await eventually('an answer in the middle of the burst', async () => {
        const states = Map.groupBy(await agent.launcher.runs(), each => each.state)
        return (states.get('armed')?.length ?? 0) < 200 && [...states.keys()]
      })
      expect(seen).toContain('armed')
      const records = await Promise.all(ids.map(id => agent.ended(id)))
      expect(new Set(records.map(record => record.code))).toEqual(new Set([5]))
      expect(await agent.launcher.runs()).toHaveLength(200)
    })
  })

  describe('ends', () => {
    test('at the deadline the command gets SIGTERM, and its record has its last output and exit code', async () => {
      run(script('deadline', `trap 'echo bye; exit 9' TERM; sleep 1000 & wait`, { deadlineMs: 300 }))
      expect(await agent.ended('deadline')).toMatchObject({
        cause: { kind: 'timedOut' },
        code: 9,
        tail: 'bye\n',
      })
    })

    test('a command that ignores SIGTERM gets SIGKILL after the grace period', async () => {
      run(script('stubborn', `trap '' TERM; while :; do sleep 0.1; done`, { deadlineMs: 300, graceMs: 200 }))
      expect(await agent.ended('stubborn')).toMatchObject({ cause: { kind: 'timedOut' }, signal: 'SIGKILL' })
    })

    test('a grandchild in its own session is killed at the deadline', async () => {
      run(script('setsid', 'setsid sleep 1000 & echo $!; wait', { deadlineMs: 300, graceMs: 200 }))
      const { tail } = await agent.ended('setsid')
      await eventually('the grandchild is dead', () => !isAlive(Number(tail)))
    })

    test('a kill ends a running command with its reason, and the first reason wins', async () => {
      run(script('kill', `trap '' TERM; echo deaf; while :; do sleep 0.1; done`, { graceMs: 300 }))
      await agent.launcher.read('kill', { offset: 0, length: 1, waitMs: 60_000 })
      agent.launcher.kill(['kill'], 'Deleted')
      agent.launcher.kill(['kill'], 'Again')
      expect(await agent.ended('kill')).toMatchObject({
        cause: { kind: 'killed', reason: 'Deleted' },
        signal: 'SIGKILL',
      })
    })

    test('a kill ends an armed run without starting it', async () => {
      run(script('armed', 'true', { at: later() }))
      agent.launcher.kill(['armed'], 'Deleted')
      expect(await agent.ended('armed')).toMatchObject({ cause: { kind: 'killed' }, startedAt: null })
    })

    test('a cancel ends armed runs and leaves running ones', async () => {
      run(script('waiting', 'true', { at: later() }), script('running', 'sleep 0.5; exit 6'))
      await agent.started('running')
      agent.launcher.cancel(['waiting', 'running', 'absent'])
      expect(await agent.ended('waiting')).toMatchObject({ cause: { kind: 'cancelled' }, startedAt: null })
      expect((await agent.ended('running')).code).toBe(6)
      expect(agent.events).toContainEqual({ type: 'unknown', id: 'absent' })
    })
  })

  describe('fences', () => {
    test('an order is refused unless its session is the last one that was fenced', async () => {
      run(script('other', 'true', { session: 'session-0' }))
      expect(await agent.refused('other')).toBe('WrongSession')
      agent.launcher.fence('session-2', farAway())
      run(script('older', 'true'), script('newer', 'true', { session: 'session-2' }))
      expect(await agent.refused('older')).toBe('WrongSession')
      expect((await agent.ended('newer')).code).toBe(0)
    })

    test('the fence kills without grace, drops armed runs, refuses orders, and spares runs that are not fenced', async () => {
      const deaf = `trap '' TERM; sleep 1000 & echo $!; wait`
      run(
        script('fenced', deaf),
        script('armed', 'true', { at: later() }),
        script('continues', 'until [ -e go ]; do sleep 0.02; done; exit 8', {
          fenced: false,
          workingDir: agent.stateDir,
        }),
      )
      await agent.started('fenced')
      await agent.started('continues')
      agent.launcher.fence(SESSION, boottimeMs() + 300)
      const record = await agent.ended('fenced')
      expect(record).toMatchObject({ cause: { kind: 'fenced' }, signal: 'SIGKILL' })
      expect(await agent.ended('armed')).toMatchObject({ cause: { kind: 'fenced' }, startedAt: null })
      await eventually('the child is dead', () => !isAlive(Number(record.tail)))
      run(script('late', 'true'))
      expect(await agent.refused('late')).toBe('Fenced')
      writeFileSync(join(agent.stateDir, 'go'), '')
      expect((await agent.ended('continues')).code).toBe(8)
    })

    test('a fence can be raised and lowered, and lifted after it fell', async () => {
      agent.launcher.fence(SESSION, boottimeMs() + 300)
      agent.launcher.fence(SESSION, farAway())
      run(script('raised', 'sleep 0.6'))
      expect((await agent.ended('raised')).code).toBe(0)
      run(script('lowered', 'sleep 1000'))
      await agent.started('lowered')
      agent.launcher.fence(SESSION, boottimeMs() - 1)
      expect((await agent.ended('lowered')).cause.kind).toBe('fenced')
      agent.launcher.fence(SESSION, farAway())
      run(script('lifted', 'true'))
      expect((await agent.ended('lifted')).code).toBe(0)
    })

    test('a new session does not change the fence of the old one', async () => {
      run(script('old', 'sleep 1000'))
      await agent.started('old')
      agent.launcher.fence(SESSION, boottimeMs() + 300)
      agent.launcher.fence('session-2', farAway())
      run(script('new', 'true', { session: 'session-2' }))
      expect((await agent.ended('old')).cause.kind).toBe('fenced')
      expect((await agent.ended('new')).code).toBe(0)
    })

    test('no fenced run of a burst starts after the fence', async () => {
      const ids = Array.from({ length: 200 }, (_, n) => `late-${n}`)
      run(...ids.map(id => script(id, 'sleep 1000', { at: Date.now() + 300 })))
      await agent.started('late-0')
      agent.launcher.fence(SESSION, boottimeMs())
      const records = await Promise.all(ids.map(id => agent.ended(id)))
      expect(new Set(records.map(record => record.cause.kind))).toEqual(new Set(['fenced']))
    })
  })

  describe('lives', () => {
    test('an agent that reconnects gets the running and the ended runs', async () => {
      const gate = join(agent.stateDir, 'gate')
      run(script('over', 'echo said; exit 3'), script('going', `until [ -e ${gate} ]; do sleep 0.02; done`))
      await agent.started('going')
      agent.launcher.close()
      const { instance } = agent.launcher
      await agent.connect()
      expect(agent.launcher.instance).toBe(instance)
      expect(await agent.ended('over')).toMatchObject({ code: 3, tail: 'said\n' })
      expect((await agent.started('going')).pid).toBeGreaterThan(1)
      const states = (await agent.launcher.runs()).map(({ id, state }) => [id, state])
      expect(Object.fromEntries(states)).toEqual({ over: 'ended', going: 'running' })
      writeFileSync(gate, '')
      expect((await agent.ended('going')).code).toBe(0)
    })

    test('output is in the spool only, not in the journal, and the next launcher reports the same records', async () => {
      const scripts = ['echo first; echo second >&2', 'printf %s fir; printf %s sec >&2; echo third']
      run(script('whole', scripts[0] ?? ''), script('limited', scripts[1] ?? '', { outputLimit: 5 }))
      run(script('nothing', 'echo fourth', { outputLimit: 0 }), script('silent', 'true'))
      const ids = ['whole', 'limited', 'nothing', 'silent']
      const before = await Promise.all(ids.map(agent.ended))
      expect(before.map(({ tail }) => tail.length)).toEqual([13, 12, 7, 0])
      const journal = readFileSync(join(agent.stateDir, 'launcher.journal'), 'utf8')
      expect(journal).toContain('"ended"')
      for (const word of ['first', 'second', 'third', 'fourth', 'fir']) expect(journal).not.toContain(word)
      await agent.crash()
      await agent.connect()
      expect(await Promise.all(ids.map(agent.ended))).toEqual(before)
    })

    test('a run and its output are kept until the run is forgotten', async () => {
      run(script('kept', 'echo output'))
      await agent.ended('kept')
      await agent.connect()
      await agent.ended('kept')
      expect(bytesOf(await agent.output('kept'), 'stdout').toString()).toBe('output\n')
      agent.launcher.forget(['kept'])
      expect(await agent.launcher.runs()).toEqual([])
      expect(await agent.output('kept')).toEqual([])
      await agent.connect()
      expect(await agent.launcher.runs()).toEqual([])
      expect(agent.events).toEqual([])
    })

    test('a removed spool folder is created again', async () => {
      for (const folder of ['spool', 'notes'])
        rmSync(join(agent.stateDir, folder), { recursive: true, force: true })
      run(script('again', 'echo output', { notes: true }))
      expect(await agent.ended('again')).toMatchObject({ code: 0, stdout: { bytes: 7, cut: 0 } })
      expect(bytesOf(await agent.output('again'), 'stdout').toString()).toBe('output\n')
      expect(statSync(join(agent.stateDir, 'spool')).mode & 0o777).toBe(0o700)
    })

    test('a read waits while the launcher has no free descriptor', async () => {
      run(script('kept', 'echo output'))
      await agent.ended('kept')
      const { pid } = agent.launcher
      limitDescriptors(pid, 3)
      const reading = agent.launcher.read('kept', { offset: 0, length: 1_000 })
      await systemClock.sleep(500)
      limitDescriptors(pid, 1_024)
      expect(bytesOf((await reading).bytes, 'stdout').toString()).toBe('output\n')
    })

    test('a new connection replaces the older one, which is closed with Replaced', async () => {
      const closed = new Promise(resolve => agent.launcher.onClosed(resolve))
      const newer = listenTo(await connectLauncher(join(agent.stateDir, 'launcher.sock')))
      expect(await closed).toBe('Replaced')
      newer.launcher.arm([script('newer', 'true')])
      expect((await newer.ended('newer')).code).toBe(0)
      await expect(agent.launcher.runs()).rejects.toThrow('Replaced')
    })

    test('two agents that start a launcher at the same time get the same one', async () => {
      await agent.launcher.stop(false)
      const options = {
        stateDir: agent.stateDir,
        log: silentLog,
        program: { command: launcherCommand },
        dieWith: process.pid,
      }
      const both = await Promise.all([ensureLauncher(options), ensureLauncher(options)])
      expect(both[0]?.instance).toBe(both[1]?.instance)
    })

    test('the next launcher kills the runs of a dead one and reports them lost', async () => {
      run(script('done', 'exit 2'))
      await agent.ended('done')
      run(
        script('left', 'setsid sleep 1000 & echo $!; wait', agent.marked()),
        script('unmarked', 'sleep 1000 & wait'),
      )
      const pids = [(await agent.started('left')).pid, (await agent.started('unmarked')).pid]
      const { bytes } = await agent.launcher.read('left', { offset: 0, length: 100, waitMs: 30_000 })
      pids.push(Number(bytesOf(bytes, 'stdout').toString()))
      await agent.crash()
      const { instance } = agent.launcher
      await agent.connect()
      expect(agent.launcher.instance).not.toBe(instance)
      const lost = { cause: { kind: 'lost', reason: 'LauncherDied' } }
      expect(await agent.ended('left')).toMatchObject({ ...lost, tail: `${pids[2]}\n` })
      expect(await agent.ended('unmarked')).toMatchObject(lost)
      expect((await agent.ended('done')).code).toBe(2)
      expect(pids.filter(isAlive)).toEqual([])
    })

    test('stop when idle ends the launcher after its last run, and the next launcher reports that run', async () => {
      run(script('last', 'sleep 0.5; exit 4'))
      await agent.started('last')
      await agent.launcher.stop(true)
      await agent.connect()
      expect((await agent.ended('last')).code).toBe(4)
    })

    test('stop at once kills all runs and ends the launcher', async () => {
      run(script('long', 'setsid sleep 1000 & echo $!; wait'), script('armed', 'true', { at: later() }))
      const { bytes } = await agent.launcher.read('long', { offset: 0, length: 100, waitMs: 30_000 })
      const { pid } = await agent.started('long')
      await agent.launcher.stop(false)
      const stopped = { cause: { kind: 'killed', reason: 'Stopped' } }
      expect(await agent.ended('long')).toMatchObject(stopped)
      expect(await agent.ended('armed')).toMatchObject(stopped)
      for (const left of [pid, Number(bytesOf(bytes, 'stdout').toString()), agent.launcher.pid])
        await eventually(`${left} is dead`, () => !isAlive(left))
    })

    test('a launcher and its runs end when the process given by dieWith ends', async () => {
      await agent.launcher.stop(false)
      const parent = spawn('sleep', ['1000'], { stdio: 'ignore' })
      const bound = await ensureLauncher({
        stateDir: agent.stateDir,
        log: silentLog,
        program: { command: launcherCommand, build: 'b1' },
        dieWith: parent.pid ?? 0,
      })
      expect(bound.build).toBe('b1')
      bound.fence(SESSION, farAway())
      const started = new Promise<number>(resolve => {
        bound.onEvent(event => event.type === 'started' && resolve(event.pid))
      })
      bound.arm([script('bound', 'sleep 1000')])
      const pid = await started
      parent.kill('SIGKILL')
      await eventually('the run and the launcher are dead', () => !isAlive(pid) && !isAlive(bound.pid))
    })

    test('the path of the state directory may be longer than the limit for socket paths', async () => {
      const deep = bench(launcherCommand, join(...Array.from({ length: 20 }, () => 'a-folder-name')))
      const { launcher } = await deep.connect()
      expect(existsSync(join(deep.stateDir, 'launcher.sock'))).toBe(true)
      expect(await launcher.runs()).toEqual([])
      await deep.end()
    })

    test('connecting to a missing socket throws Unavailable', async () => {
      await expect(connectLauncher(join(agent.stateDir, 'nothing.sock'))).rejects.toMatchObject({
        name: 'Unavailable',
      })
    })
  })
})

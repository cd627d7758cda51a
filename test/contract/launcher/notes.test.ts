import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { bench, eventually, farAway, launcherCommand, SESSION, script } from './launcher.ts'
import { launcherForAll } from './launcher-for-each.ts'

/** A hierarchy in which a process can get its own group, with or without controllers. */
const hierarchy = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find(dir =>
  existsSync(join(dir, 'cgroup.procs')),
)
const canGroup = process.getuid?.() === 0 && hierarchy !== undefined

describe('launcher: notes', () => {
  const agent = launcherForAll(() => bench(launcherCommand))

  const outsiders: Outsider[] = []
  afterEach(() => {
    for (const outsider of outsiders.splice(0)) outsider.remove()
  })
  const startOutside = (program: string, name?: string) => {
    const outsider = startOutsider(program, name)
    outsiders.push(outsider)
    return outsider
  }
  const withGroupNote = (id: string, outsider: Outsider, then: string, more = {}) =>
    script(id, `echo "cgroup ${outsider.group}" >> "$SHELLCRON_NOTES"; ${then}`, { notes: true, ...more })

  test('the last note of a run is in its record, and the notes file is removed with the run', async () => {
    const writeNotes =
      'echo "told one" >> "$SHELLCRON_NOTES"; printf "told two words\\nother\\ntold cut" >> "$SHELLCRON_NOTES"'
    agent.launcher.arm([
      script('told', writeNotes, { notes: true }),
      script('silent', 'echo "$SHELLCRON_NOTES"'),
    ])
    expect((await agent.ended('told')).told).toBe('two words')
    const silent = await agent.ended('silent')
    expect(silent).not.toHaveProperty('told')
    expect(silent.tail).toBe('\n')
    agent.launcher.forget(['told', 'silent'])
    await eventually('the file is gone', () => readdirSync(join(agent.stateDir, 'notes')).length === 0)
  })

  test('a run does not start if its notes file cannot be created, and other runs do', async () => {
    const folder = join(agent.stateDir, 'notes')
    rmSync(folder, { recursive: true, force: true })
    writeFileSync(folder, '')
    agent.launcher.arm([script('noteless', 'true', { notes: true }), script('other', 'true')])
    expect((await agent.ended('noteless')).cause).toMatchObject({
      kind: 'startFailed',
      reason: 'NoResources',
    })
    expect((await agent.ended('other')).code).toBe(0)
    rmSync(folder)
    mkdirSync(folder, { mode: 0o700 })
  })

  test.runIf(canGroup)('a kill also ends the control group that the run has named', async () => {
    const outsider = startOutside('sleep 1000')
    const untilAlone = `trap "" TERM; echo named; while read -r pid < ${outsider.group}/cgroup.procs; do sleep 0.05; done`
    agent.launcher.arm([withGroupNote('killed', outsider, untilAlone)])
    await agent.launcher.read('killed', { offset: 0, length: 1, waitMs: 30_000 })
    agent.launcher.kill(['killed'], 'Test')
    expect((await agent.ended('killed')).cause).toEqual({ kind: 'killed', reason: 'Test' })
    expect(await outsider.ended).toBe('SIGTERM')
    expect(existsSync(outsider.group)).toBe(false)
  })

  test.runIf(canGroup)(
    'a process in the named group that ignores SIGTERM is killed after the grace period',
    async () => {
      const outsider = startOutside(`perl -e '$SIG{TERM} = "IGNORE"; $| = 1; print "ready\n"; sleep 1000'`)
      await outsider.ready
      agent.launcher.arm([
        withGroupNote('stubborn', outsider, 'trap "" TERM; while :; do sleep 0.1; done', {
          deadlineMs: 200,
          graceMs: 300,
        }),
      ])
      expect((await agent.ended('stubborn')).cause).toEqual({ kind: 'timedOut' })
      expect(await outsider.ended).toBe('SIGKILL')
    },
  )

  test.runIf(canGroup)(
    'after the group is killed, the command gets a short time for its last output and exit code',
    async () => {
      const stubborn = () =>
        startOutside(`perl -e '$SIG{TERM} = "IGNORE"; $| = 1; print "ready\n"; sleep 1000'`)
      const untilAlone = ({ group }: Outsider) =>
        `while read -r pid < ${group}/cgroup.procs; do sleep 0.05; done`
      const [first, second] = [stubborn(), stubborn()]
      await Promise.all([first.ready, second.ready])
      const ignoreTerm = 'trap "" TERM; echo ready'
      const grace = { graceMs: 100 }
      agent.launcher.arm([
        withGroupNote('brief', first, `${ignoreTerm}; ${untilAlone(first)}; echo last words; exit 5`, grace),
        withGroupNote(
          'endless',
          second,
          `${ignoreTerm}; ${untilAlone(second)}; while :; do sleep 0.1; done`,
          grace,
        ),
      ])
      for (const id of ['brief', 'endless'])
        await agent.launcher.read(id, { offset: 0, length: 1, waitMs: 30_000 })
      agent.launcher.kill(['brief', 'endless'], 'Test')
      const cause = { kind: 'killed', reason: 'Test' }
      expect(await agent.ended('brief')).toMatchObject({ cause, code: 5, tail: 'ready\nlast words\n' })
      expect(await agent.ended('endless')).toMatchObject({ cause, signal: 'SIGKILL' })
      expect(await first.ended).toBe('SIGKILL')
    },
  )

  test.runIf(canGroup)('the named group is killed when the run ends by itself', async () => {
    const outsider = startOutside('sleep 1000')
    agent.launcher.arm([withGroupNote('over', outsider, 'exit 0')])
    await agent.ended('over')
    // It must be gone when the end is reported: if the launcher dies now, the next one does not look for it.
    expect(existsSync(outsider.group)).toBe(false)
    expect(await outsider.ended).toBe('SIGKILL')
  })

  test.runIf(canGroup)('a named group without the prefix shellcron- is not killed', async () => {
    const outsider = startOutside('sleep 1000', 'foreign')
    const nameForeign = `echo "cgroup ${outsider.group}" >> "$SHELLCRON_NOTES"; echo "cgroup ${hierarchy}" >> "$SHELLCRON_NOTES"`
    agent.launcher.arm([script('foreign', nameForeign, { notes: true })])
    await agent.ended('foreign')
    agent.launcher.arm([script('after', 'sleep 1')])
    await agent.ended('after')
    expect(outsider.child.exitCode ?? outsider.child.signalCode).toBe(null)
  })

  test.runIf(canGroup)('the next launcher kills the named group of a run whose launcher died', async () => {
    const outsider = startOutside('sleep 1000')
    agent.launcher.arm([withGroupNote('orphaned', outsider, 'echo named; sleep 1000')])
    await agent.launcher.read('orphaned', { offset: 0, length: 1, waitMs: 30_000 })
    process.kill(agent.launcher.pid, 'SIGKILL')
    await agent.connect()
    expect((await agent.ended('orphaned')).cause).toEqual({ kind: 'lost', reason: 'LauncherDied' })
    expect(await outsider.ended).toBe('SIGKILL')
    agent.launcher.fence(SESSION, farAway())
  })

  test.runIf(canGroup)('the next launcher also kills it if the start is not in the journal', async () => {
    const outsider = startOutside('sleep 1000')
    agent.launcher.arm([withGroupNote('unrecorded', outsider, 'echo named; sleep 1000', agent.marked())])
    await agent.launcher.read('unrecorded', { offset: 0, length: 1, waitMs: 30_000 })
    await agent.crash()
    const journal = join(agent.stateDir, 'launcher.journal')
    const withoutStart = readFileSync(journal, 'utf8').replace(
      /^.*"type":"started","id":"unrecorded".*\n/m,
      '',
    )
    writeFileSync(journal, withoutStart)
    await agent.connect()
    expect(await agent.launcher.runs()).not.toContainEqual(expect.objectContaining({ id: 'unrecorded' }))
    expect(await outsider.ended).toBe('SIGKILL')
    await eventually('the group is gone', () => !existsSync(outsider.group))
    expect(readdirSync(join(agent.stateDir, 'notes'))).not.toContain('unrecorded')
    agent.launcher.fence(SESSION, farAway())
  })
})

interface Outsider {
  group: string
  child: ChildProcess
  /** Resolves when it has written output. */
  ready: Promise<unknown>
  /** Resolves to the signal that ended it. */
  ended: Promise<string | null>
  remove(): void
}

let made = 0

/** Starts a process that is no child of a launcher, in its own control group. */
function startOutsider(program: string, name = 'shellcron-notes'): Outsider {
  const group = join(hierarchy ?? '', `${name}-${process.pid}-${made++}`)
  mkdirSync(group)
  const child = spawn('/bin/sh', ['-c', `read -r go; exec ${program}`], { stdio: ['pipe', 'pipe', 'ignore'] })
  const ended = new Promise<string | null>(resolve => child.once('exit', (_, signal) => resolve(signal)))
  const ready = new Promise(resolve => child.stdout.once('data', resolve))
  writeFileSync(join(group, 'cgroup.procs'), String(child.pid))
  child.stdin.end('\n')
  return {
    group,
    child,
    ready,
    ended,
    remove() {
      child.kill('SIGKILL')
      void ended.then(() => rmdirSync(group)).catch(() => undefined)
    },
  }
}

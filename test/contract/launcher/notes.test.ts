import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { bench, eventually, farAway, launcherCommand, SESSION, script } from './launcher.ts'
import { launcherForAll } from './launcher-for-each.ts'

/** Where a process can be put into a group of its own, with or without controllers. */
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
  const outside = (program: string, name?: string) => {
    const outsider = startOutsider(program, name)
    outsiders.push(outsider)
    return outsider
  }
  const naming = (id: string, outsider: Outsider, then: string, more = {}) =>
    script(id, `echo "cgroup ${outsider.group}" >> "$SHELLCRON_NOTES"; ${then}`, { notes: true, ...more })

  test('what a run tells last goes into its record, and its file goes with it', async () => {
    const tell =
      'echo "told one" >> "$SHELLCRON_NOTES"; printf "told two words\\nother\\ntold cut" >> "$SHELLCRON_NOTES"'
    agent.launcher.arm([script('told', tell, { notes: true }), script('silent', 'echo "$SHELLCRON_NOTES"')])
    expect((await agent.ended('told')).told).toBe('two words')
    const silent = await agent.ended('silent')
    expect(silent).not.toHaveProperty('told')
    expect(silent.tail).toBe('\n')
    agent.launcher.forget(['told', 'silent'])
    await eventually('the file is gone', () => readdirSync(join(agent.stateDir, 'notes')).length === 0)
  })

  test('a run whose notes cannot be made does not start, and the others do', async () => {
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

  test.runIf(canGroup)('a kill reaches a group that the run has named', async () => {
    const outsider = outside('sleep 1000')
    const untilAlone = `trap "" TERM; echo named; while read -r pid < ${outsider.group}/cgroup.procs; do sleep 0.05; done`
    agent.launcher.arm([naming('killed', outsider, untilAlone)])
    await agent.launcher.read('killed', { offset: 0, length: 1, waitMs: 30_000 })
    agent.launcher.kill(['killed'], 'Test')
    expect((await agent.ended('killed')).cause).toEqual({ kind: 'killed', reason: 'Test' })
    expect(await outsider.ended).toBe('SIGTERM')
    expect(existsSync(outsider.group)).toBe(false)
  })

  test.runIf(canGroup)('who ignores SIGTERM in there dies after the grace', async () => {
    const outsider = outside(`perl -e '$SIG{TERM} = "IGNORE"; $| = 1; print "ready\n"; sleep 1000'`)
    await outsider.ready
    agent.launcher.arm([
      naming('stubborn', outsider, 'trap "" TERM; while :; do sleep 0.1; done', {
        deadlineMs: 200,
        graceMs: 300,
      }),
    ])
    expect((await agent.ended('stubborn')).cause).toEqual({ kind: 'timedOut' })
    expect(await outsider.ended).toBe('SIGKILL')
  })

  test.runIf(canGroup)('who runs it there may still say how that ended, but not for long', async () => {
    const stubborn = () => outside(`perl -e '$SIG{TERM} = "IGNORE"; $| = 1; print "ready\n"; sleep 1000'`)
    const untilAlone = ({ group }: Outsider) =>
      `while read -r pid < ${group}/cgroup.procs; do sleep 0.05; done`
    const [first, second] = [stubborn(), stubborn()]
    await Promise.all([first.ready, second.ready])
    const deaf = 'trap "" TERM; echo deaf'
    const grace = { graceMs: 100 }
    agent.launcher.arm([
      naming('teller', first, `${deaf}; ${untilAlone(first)}; echo last words; exit 5`, grace),
      naming('talker', second, `${deaf}; ${untilAlone(second)}; while :; do sleep 0.1; done`, grace),
    ])
    for (const id of ['teller', 'talker'])
      await agent.launcher.read(id, { offset: 0, length: 1, waitMs: 30_000 })
    agent.launcher.kill(['teller', 'talker'], 'Test')
    const cause = { kind: 'killed', reason: 'Test' }
    expect(await agent.ended('teller')).toMatchObject({ cause, code: 5, tail: 'deaf\nlast words\n' })
    expect(await agent.ended('talker')).toMatchObject({ cause, signal: 'SIGKILL' })
    expect(await first.ended).toBe('SIGKILL')
  })

  test.runIf(canGroup)("what is left in there does not outlive the run's own end", async () => {
    const outsider = outside('sleep 1000')
    agent.launcher.arm([naming('over', outsider, 'exit 0')])
    await agent.ended('over')
    // Not a moment later: a launcher that dies now has told the end, and the next one looks for nothing.
    expect(existsSync(outsider.group)).toBe(false)
    expect(await outsider.ended).toBe('SIGKILL')
  })

  test.runIf(canGroup)('a group that is not named as one of ours is left alone', async () => {
    const outsider = outside('sleep 1000', 'foreign')
    const told = `echo "cgroup ${outsider.group}" >> "$SHELLCRON_NOTES"; echo "cgroup ${hierarchy}" >> "$SHELLCRON_NOTES"`
    agent.launcher.arm([script('foreign', told, { notes: true })])
    await agent.ended('foreign')
    agent.launcher.arm([script('after', 'sleep 1')])
    await agent.ended('after')
    expect(outsider.child.exitCode ?? outsider.child.signalCode).toBe(null)
  })

  test.runIf(canGroup)('the next launcher kills what is left of a run whose launcher died', async () => {
    const outsider = outside('sleep 1000')
    agent.launcher.arm([naming('orphaned', outsider, 'echo named; sleep 1000')])
    await agent.launcher.read('orphaned', { offset: 0, length: 1, waitMs: 30_000 })
    process.kill(agent.launcher.pid, 'SIGKILL')
    await agent.connect()
    expect((await agent.ended('orphaned')).cause).toEqual({ kind: 'lost', reason: 'LauncherDied' })
    expect(await outsider.ended).toBe('SIGKILL')
    agent.launcher.fence(SESSION, farAway())
  })

  test.runIf(canGroup)(
    'also of one whose launcher died before it could say that it had started',
    async () => {
      const outsider = outside('sleep 1000')
      agent.launcher.arm([naming('untold', outsider, 'echo named; sleep 1000', agent.marked())])
      await agent.launcher.read('untold', { offset: 0, length: 1, waitMs: 30_000 })
      await agent.crash()
      const journal = join(agent.stateDir, 'launcher.journal')
      const untold = readFileSync(journal, 'utf8').replace(/^.*"type":"started","id":"untold".*\n/m, '')
      writeFileSync(journal, untold)
      await agent.connect()
      expect(await agent.launcher.runs()).not.toContainEqual(expect.objectContaining({ id: 'untold' }))
      expect(await outsider.ended).toBe('SIGKILL')
      await eventually('the group is gone', () => !existsSync(outsider.group))
      expect(readdirSync(join(agent.stateDir, 'notes'))).not.toContain('untold')
      agent.launcher.fence(SESSION, farAway())
    },
  )
})

interface Outsider {
  group: string
  child: ChildProcess
  /** It has said something. */
  ready: Promise<unknown>
  /** By what signal. */
  ended: Promise<string | null>
  remove(): void
}

let made = 0

/** A process that is no child of a launcher, in a group of its own. */
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

import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureLauncher } from '../../../agent/launcher/start.ts'
import { silentLog } from '../../../platform/log.ts'
import { launcherBinary } from '../../../scripts/go-programs.ts'
import { type Connected, farAway, listenTo, SESSION, script } from './launcher.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0

/** A launcher that runs as a user other than root. */
describe.runIf(isRoot)('launcher: without privileges', () => {
  let root: string
  let agent: Connected

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'shellcron-nobody-'))
    chmodSync(root, 0o755)
    const program = join(root, 'launcher')
    copyFileSync(await launcherBinary(), program)
    chmodSync(program, 0o755)
    const stateDir = join(root, 'state')
    mkdirSync(stateDir)
    chownSync(stateDir, NOBODY, NOBODY)
    const become = ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups']
    const options = { stateDir, log: silentLog, dieWith: process.pid }
    agent = listenTo(await ensureLauncher({ ...options, program: { command: [...become, program] } }))
    agent.launcher.fence(SESSION, farAway())
  })

  afterAll(async () => {
    await agent.launcher.stop(false)
    rmSync(root, { recursive: true })
  })

  test('commands run as the user of the launcher, and cannot gain privileges', async () => {
    const printUser = 'id -u; echo $USER; grep NoNewPrivs /proc/self/status | cut -f 2'
    agent.launcher.arm([script('own', printUser, { userEnv: true })])
    expect((await agent.ended('own')).tail).toBe(`${NOBODY}\nnobody\n1\n`)
  })

  test('a command of another user or group fails with NotPermitted', async () => {
    agent.launcher.arm([script('root', 'true', { user: 'root' }), script('group', 'true', { group: 'root' })])
    for (const id of ['root', 'group'])
      expect(await agent.ended(id)).toMatchObject({
        cause: { kind: 'startFailed', reason: 'NotPermitted' },
        startedAt: null,
      })
  })
})

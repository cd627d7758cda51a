import { spawnSync } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { enrolLocal } from '../../operator/main.ts'
import { launcherBinary } from '../../scripts/go-programs.ts'

/** The programs on directories that other users own or can write, as a user starts them. */
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))
const NOBODY = 65_534
const isRoot = process.getuid?.() === 0

let base: string
let jobs: string
/** The parent of the state directory. */
let place: string
let state: string
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'shellcron-trust-'))
  jobs = join(base, 'jobs')
  place = join(base, 'place')
  state = join(place, 'state')
  await mkdir(jobs)
  await mkdir(place)
  await mkdir(state, { mode: 0o700 })
})
afterEach(() => rm(base, { recursive: true, force: true, maxRetries: 5 }))

/** A program that does not refuse runs until the time is up; its status is then null. */
function run(command: string, args: string[]) {
  const options = { encoding: 'utf8', timeout: 30_000, killSignal: 'SIGKILL' } as const
  const { status, stderr } = spawnSync(command, args, options)
  return { status, stderr }
}

const ENDPOINTS = ['--endpoints', 'https://127.0.0.1:1']
const programs: Record<string, () => Promise<ReturnType<typeof run>>> = {
  up: async () => run(program, ['up', jobs, '--state', state, '-o', 'lines']),
  operator: async () => run(program, ['operator', ...ENDPOINTS, '--directory', jobs, '--state', state]),
  async agent() {
    const identity = join(base, 'identity')
    await enrolLocal({ stateDir: join(base, 'other'), name: 'one', pool: 'default', dir: identity })
    return run(program, ['agent', ...ENDPOINTS, '--identity', identity, '--state', state])
  },
  launcher: async () => run(await launcherBinary(), ['--state', state]),
}

describe.each(Object.entries(programs))('%s refuses a state directory in one line', (name, start) => {
  const refuses = async (why: RegExp) => {
    const { status, stderr } = await start()
    expect(stderr).toMatch(why)
    expect(stderr).toMatch(/^(shellcron|launcher): .*--state: .*\n$/)
    expect(status).toBe(name === 'launcher' ? 1 : 2)
  }

  test.runIf(isRoot)('of another user', async () => {
    await chown(state, NOBODY, NOBODY)
    await refuses(/state belongs to user .*chown/)
    expect(await readdir(state)).toEqual([])
  })

  test('that every user can write', async () => {
    await chmod(state, 0o777)
    await refuses(/can write .*state; run `chmod go-w /)
  })

  test('that every user can replace', async () => {
    await chmod(place, 0o777)
    await refuses(/can write .*place; run `chmod/)
  })

  test('with a symbolic link, which is not written through', async () => {
    const target = join(base, 'target')
    await writeFile(target, 'precious')
    for (const link of ['launcher.log', 'shellcron.db', 'launcher.lock', 'agent.lock', 'operator.lock'])
      await symlink(target, join(state, link))
    await refuses(/is a symbolic link.*remove it/)
    expect(await readFile(target, 'utf8')).toBe('precious')
  })
})

describe.each(['up', 'operator'])('%s refuses a job directory in one line', name => {
  const refuses = async (why: RegExp) => {
    const { status, stderr } = (await programs[name]?.()) ?? {}
    expect(stderr).toMatch(why)
    expect(stderr).toMatch(/^shellcron: (--)?directory: .*\n$/)
    expect(status).toBe(2)
    expect(await readdir(state)).toEqual([])
  }

  test('that every user can write', async () => {
    await chmod(jobs, 0o777)
    await refuses(/can write .*jobs; run `chmod /)
  })

  test.runIf(isRoot)('that its group can write, as root', async () => {
    await chmod(jobs, 0o775)
    await refuses(/its group can write .*jobs; run `chmod g-w /)
  })

  test.runIf(isRoot)('of another user', async () => {
    await chown(jobs, NOBODY, NOBODY)
    await refuses(/jobs belongs to user nobody.*--trust-owner nobody/)
  })
})

describe('agent refuses in one line', () => {
  let identity: string
  beforeEach(async () => {
    identity = join(base, 'identity')
    await enrolLocal({ stateDir: join(base, 'other'), name: 'one', pool: 'default', dir: identity })
  })
  const agent = (...more: string[]) =>
    run(program, ['agent', ...ENDPOINTS, '--identity', identity, '--state', state, ...more])
  const refuses = async (why: RegExp, ...more: string[]) => {
    const { status, stderr } = agent(...more)
    expect(stderr).toMatch(why)
    expect(stderr.split('\n')).toHaveLength(2)
    expect(status).toBe(2)
    expect(await readdir(state)).toEqual([])
  }

  test.each(['tls.key', 'pool.key'])('a key that others can read: %s', async name => {
    await chmod(join(identity, name), 0o644)
    await refuses(
      new RegExp(`^shellcron: --identity: every user can read .*${name}; run \`chmod 600 .*${name}\`\n$`),
    )
  })

  test('a key that others can write, or replace', async () => {
    await chmod(join(identity, 'operator.pub'), 0o666)
    await refuses(/^shellcron: --identity: every user can write .*operator.pub; run `chmod/)
    await chmod(join(identity, 'operator.pub'), 0o644)
    await chmod(identity, 0o777)
    await refuses(/^shellcron: --identity: every user can write .*identity; run `chmod/)
  })

  test('a local policy that others can write', async () => {
    const policy = join(base, 'agent.yaml')
    await writeFile(policy, 'allowHost: true\n')
    await chmod(policy, 0o666)
    await refuses(
      /^shellcron: --local-policy: every user can write .*agent.yaml; run `chmod/,
      '--local-policy',
      policy,
    )
  })

  test.runIf(isRoot)('a local policy or a key of another user, unless that user is trusted', async () => {
    const policy = join(base, 'agent.yaml')
    await writeFile(policy, 'allowHosts: true\n')
    await chown(policy, NOBODY, NOBODY)
    await refuses(/^shellcron: --local-policy: .* belongs to user nobody/, '--local-policy', policy)
    await refuses(/agent.yaml: .*allowHosts/, '--local-policy', policy, '--trust-owner', 'nobody')
    await chown(join(identity, 'tls.key'), NOBODY, NOBODY)
    await refuses(/^shellcron: --identity: .*tls.key belongs to user nobody/)
  })
})

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { connectLauncher } from '../../agent/launcher/client.ts'
import { type Child, startChild } from '../../platform/child-process.ts'
import { eventually } from '../fault/eventually.ts'
import { startNetwork, whyNoNetwork } from '../fixtures/network.ts'
import { commandsOf } from '../fixtures/pages.ts'
import { temporaryDirectory } from '../servers/directory.ts'

/** Runs the commands of the README. `make up` has its own tests, `make test` runs this one, and test/cluster runs those for a cluster. */
const root = fileURLToPath(new URL('../../', import.meta.url))
const UP = 'On one machine: `make up`'
const PLAIN = 'On plain servers'
const SHORT_MS = 60_000

test('the README begins with two commands', () => {
  expect(commandsOf('README.md').slice(0, 2)).toEqual(['make up', 'make test'])
})

test.each(commandsOf('README.md', UP))('%s', command => {
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', command], { cwd: root, encoding: 'utf8' })
  expect({ status, stderr: stderr.replace(/^\d+ objects?, 0 problems\n$/, '') }).toEqual({
    status: 0,
    stderr: '',
  })
  if (!command.includes('validate')) expect(stdout.trim()).not.toBe('')
})

const why = await whyNoNetwork()
if (why) console.warn(`skipped: the README's commands for plain servers: ${why}`)

describe.skipIf(why)('the commands for plain servers', () => {
  const ends: (() => Promise<unknown>)[] = []
  afterAll(async () => {
    for (const end of ends.toReversed()) await end()
  })

  test('start a fleet of two, each in a network namespace of its own', async () => {
    const [mkdir = '', up = '', line = '', joins = '', ...rest] = commandsOf('README.md', PLAIN)
    expect(rest).toEqual([])
    expect(joins).toMatch(/^sudo shellcron join https:\/\/10\.0\.0\.5:9443 sc1\./)
    const directory = await temporaryDirectory('shellcron-readme-')
    ends.push(directory.remove)
    const network = await startNetwork()
    ends.push(network.close)
    const [first, web] = [await network.machine(), await network.machine()]
    const env = { ...process.env, PATH: `${join(root, 'bin')}:${process.env['PATH']}` }
    const lines: string[] = []
    const start = async (on: typeof first, command: string): Promise<Child> => {
      // `exec`, so that a signal reaches the program itself.
      const { command: program, args } = on.on('/bin/sh', '-c', `cd ${directory.path} && exec ${command}`)
      const child = await startChild({ command: program, args, env, onLine: text => void lines.push(text) })
      ends.push(() => child.stop(SHORT_MS))
      return child
    }
    const type = (on: typeof first, command: string) => {
      const { command: program, args } = on.on('/bin/sh', '-c', command)
      return spawnSync(program, args, { cwd: directory.path, env, encoding: 'utf8', timeout: SHORT_MS })
    }
    expect(type(first, mkdir)).toMatchObject({ status: 0 })
    await start(first, up.replace('10.0.0.5', first.address))
    let printed = ''
    await eventually(
      () => `join-command answers; so far: ${lines.join('\n')}`,
      () => {
        const { status, stdout } = type(first, line)
        printed = stdout.trim()
        return status === 0
      },
      120_000,
    )
    // As the README shows it, but for the address and the token.
    expect(printed).toMatch(new RegExp(`^sudo shellcron join https://${first.address}:9443 sc1\\.\\S+$`))
    // Root already, and no unit of systemd for the agent.
    const places = `--etc ${directory.path}/etc --state ${directory.path}/web/state --foreground`
    await start(web, `${printed.replace('sudo ', '')} ${places}`)
    ends.push(async () => {
      const launcher = await connectLauncher(`${directory.path}/web/state/launcher.sock`).catch(
        () => undefined,
      )
      await launcher?.stop(false)
    })
    await eventually(
      () => `it joins: ${lines.join('\n')}`,
      () => lines.some(text => text.includes('web-1 has joined: it is Ready')),
      120_000,
    )
  })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { type Description, readDescription } from '../servers/cluster/description.ts'
import { whyNoCluster } from '../servers/cluster/requirements.ts'

const OWNER = `
  const { startCluster } = await import(${JSON.stringify(new URL('../servers/cluster.ts', import.meta.url).href)})
  const cluster = await startCluster({ nodes: 1 })
  console.log(cluster.dir)
  process.stdin.resume()
  process.stdin.once('end', () => cluster.stop())`

describe.skipIf(whyNoCluster())('a cluster', () => {
  test.each(['SIGKILL', 'end'] as const)('leaves nothing behind after the %s of its owner', async how => {
    const owner = spawn(process.execPath, ['--input-type=module', '-e', OWNER], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const interfaces = readdirSync('/sys/class/net')
    const [line] = (await once(owner.stdout, 'data')) as [Buffer]
    const dir = String(line).trim()
    const namespaces = namespacesOf(await readDescription(dir))
    const group = `sc-${basename(dir).split('-').at(-1)}`
    expect(processesIn(namespaces)).toBeGreaterThan(8)
    expect(groupsOf(group)).not.toEqual([])
    expect(readdirSync('/sys/class/net')).toEqual(interfaces)

    if (how === 'SIGKILL') owner.kill('SIGKILL')
    else owner.stdin.end()

    await eventually('no process', () => processesIn(namespaces) === 0, 120_000)
    await eventually('no directory', () => !existsSync(dir), 120_000)
    await eventually('no control group', () => groupsOf(group).length === 0, 120_000)
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(dir)
  })
})

/** The pid namespaces of its machines. Each container has one more, which ends with its machine's. */
function namespacesOf({ controlPlane, nodes }: Description): string[] {
  const first = [controlPlane, ...Object.values(nodes).map(({ pid }) => pid)]
  return first.map(pid => readlinkSync(`/proc/${pid}/ns/pid`))
}

function processesIn(namespaces: string[]): number {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return pids.filter(pid => {
    try {
      return namespaces.includes(readlinkSync(`/proc/${pid}/ns/pid`))
    } catch {
      return false
    }
  }).length
}

/** The control group hierarchies that have a group of this name. */
function groupsOf(name: string): string[] {
  const root = '/sys/fs/cgroup'
  return [root, ...readdirSync(root).map(hierarchy => join(root, hierarchy))].filter(hierarchy =>
    existsSync(join(hierarchy, name)),
  )
}

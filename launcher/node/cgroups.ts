import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { Clock } from '../../platform/clock.ts'

/** This launcher makes no control groups. It ends what is left in those that the native one made for this state directory. */

const ROUNDS = 40
const ROUND_MS = 25

/** Kills and removes what a native launcher left; what will not die in a second stays. */
export async function clearGroups(stateDir: string, clock: Clock): Promise<void> {
  const name = `shellcron-${createHash('sha256').update(resolve(stateDir)).digest('hex').slice(0, 16)}`
  const left = () => ownGroups().flatMap(own => (existsSync(join(own, name)) ? [join(own, name)] : []))
  for (let round = 0, groups = left(); round < ROUNDS && groups.length > 0; round++, groups = left()) {
    if (round > 0) await clock.sleep(ROUND_MS)
    for (const group of groups) {
      for (const pid of pidsIn(group)) killOne(pid)
      removeGroup(group)
    }
  }
}

/** The folder of our own group in each mounted hierarchy; a launcher's groups lie right below it. */
function ownGroups(): string[] {
  const paths = new Map<string, string>()
  for (const line of linesOf('/proc/self/cgroup')) {
    const [, controllers = '', ...path] = line.split(':')
    for (const controller of controllers.split(',')) paths.set(controller, path.join(':'))
  }
  return [...new Set(linesOf('/proc/self/mountinfo').flatMap(line => ownGroup(line, paths)))]
}

function ownGroup(mount: string, paths: ReadonlyMap<string, string>): string[] {
  const [place = '', kind = ''] = mount.split(' - ')
  const [, , , root = '/', at = ''] = place.split(' ')
  const [type, , options = ''] = kind.split(' ')
  const names = type === 'cgroup2' ? [''] : type === 'cgroup' ? options.split(',') : []
  return names.flatMap(name => {
    const below = relative(root, paths.get(name) ?? '/..')
    return paths.has(name) && !below.startsWith('..') ? [join(at, below)] : []
  })
}

export function killOne(pid: number) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n')
  } catch {
    return []
  }
}

/** Of all processes in a control group and below. */
export function pidsIn(group: string): number[] {
  try {
    const own = readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').map(Number)
    return [...own.filter(pid => pid > 0), ...below(group).flatMap(pidsIn)]
  } catch {
    return []
  }
}

/** With what is below. False: somebody is still in there, and it stays. */
export function removeGroup(group: string): boolean {
  try {
    for (const each of below(group)) removeGroup(each)
    rmdirSync(group)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

function below(group: string): string[] {
  return readdirSync(group, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => join(group, name))
}

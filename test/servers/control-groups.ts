import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'

/** Its stdin ends with this process. Processes in the groups die at the same time, a moment later. */
const REAPER = `cat > /dev/null
ours() { find /sys/fs/cgroup -depth -type d \\( -path "*/$name" -o -path "*/$name/*" \\) "$@" 2> /dev/null; }
name=$0
for _ in $(seq 60); do
  ours -exec rmdir {} \\;
  ours | grep -q . || exit 0
  sleep 0.3
done`

/** Control groups of this path are removed when this process ends, or by the function that it answers. Their processes must be dead. */
export function reapControlGroups(path: string): () => Promise<void> {
  const reaper = spawn('/bin/sh', ['-c', REAPER, path], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  reaper.unref()
  return async () => {
    reaper.ref()
    const reaped = new Promise(resolve => reaper.once('exit', resolve))
    reaper.stdin?.end()
    await reaped
  }
}

/** Removes control groups of this path now. */
export async function removeControlGroups(path: string): Promise<void> {
  await reapControlGroups(path)()
}

/** Makes a group of this path in each hierarchy, as a kubelet needs it for its `cgroupRoot`. */
export async function makeControlGroups(path: string): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    const group = join(hierarchy, path)
    await mkdir(group, { recursive: true })
    // A new group of version 1 has no CPUs, and refuses processes.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (!existsSync(join(hierarchy, file))) continue
      await writeFile(join(group, file), await readFile(join(hierarchy, file)))
    }
  }
}

/** One in version 2, one for each controller in version 1. */
async function hierarchies(): Promise<string[]> {
  if (existsSync(join(ROOT, 'cgroup.controllers'))) return [ROOT]
  const names = await readdir(ROOT)
  return names.map(name => join(ROOT, name)).filter(path => existsSync(join(path, 'cgroup.procs')))
}

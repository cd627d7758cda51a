import { execFile, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ensureLauncher } from '../../../agent/launcher/start.ts'
import { silentLog } from '../../../platform/log.ts'
import { launcherBinary } from '../../../scripts/go-programs.ts'
import { eventually } from '../../fault/eventually.ts'

/** Launchers are detached from the agent: in a systemd scope, or from a pod on its host. */

const run = promisify(execFile)
const isRoot = process.getuid?.() === 0
const binary = await launcherBinary()

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-around-'))
})
afterEach(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))

describe('systemd', () => {
  /** Installs this script as systemd-run. */
  const systemd = async (text: string) => {
    const systemdRun = join(dir, 'systemd-run')
    await mkdir(join(dir, 'run/systemd/system'), { recursive: true })
    await writeFile(systemdRun, `#!/bin/sh\n${text}\n`)
    await chmod(systemdRun, 0o755)
    return { root: dir, systemdRun }
  }
  const launched = async (surroundings: { root: string; systemdRun: string }) => {
    const stateDir = join(dir, 'state')
    const program = { command: [binary], build: 'b1' }
    const launcher = await ensureLauncher({ stateDir, log: silentLog, program, surroundings })
    await launcher.stop(true)
    return launcher
  }

  test('the launcher is started in its own scope with delegated control groups', async () => {
    // Like `systemd-run --scope`: becomes the command after `--`.
    const fake = `echo "$@" > ${dir}/arguments; while [ "$1" != -- ]; do shift; done; shift; exec "$@"`
    expect((await launched(await systemd(fake))).build).toBe('b1')
    const given = await readFile(join(dir, 'arguments'), 'utf8')
    expect(given).toMatch(
      /--scope --quiet --collect --unit=shellcron-launcher-\S+ .*-p Delegate=yes -p TasksMax=infinity -- \S+launcher /,
    )
    expect(given.startsWith(isRoot ? '--scope' : '--user --scope')).toBe(true)
  })

  test('if systemd-run fails, the launcher is started without a scope', async () => {
    expect((await launched(await systemd('exit 1'))).build).toBe('b1')
  })
})

describe.runIf(isRoot)('a pod', () => {
  /** A machine in its own namespaces. `inPod` runs the agent's fixture in a pod on it. */
  const machine = () => {
    const init = spawn(
      'unshare',
      ['--pid', '--fork', '--kill-child', '--mount', '--mount-proc', '--net', '--uts', 'sh', '-c', INIT],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    )
    const inPod = async (group: string, ...args: string[]) => {
      const first = (await readFile(`/proc/${init.pid}/task/${init.pid}/children`, 'utf8')).trim()
      const program = fileURLToPath(new URL('../../fixtures/pod-agent.ts', import.meta.url))
      const pod = [
        'unshare',
        '--mount',
        '--uts',
        '--ipc',
        '--net',
        'sh',
        '-c',
        POD,
        group,
        process.execPath,
        program,
      ]
      return (await run('nsenter', ['-t', first, '-p', '-m', '-n', '-u', '--', ...pod, ...args])).stdout
    }
    return { init, inPod, ready: new Promise(resolve => init.stdout.once('data', resolve)) }
  }

  test('starts its runs on the host, and they outlive the pod', async () => {
    const { init, inPod, ready } = machine()
    const group = await podGroup()
    try {
      await ready
      const script = `for n in mnt net uts pid ipc; do
          [ "$(readlink /proc/self/ns/$n)" = "$(readlink /proc/1/ns/$n)" ] && echo $n; done > ${dir}/same
        hostname > ${dir}/name; [ -e /mnt/inside-pod ] && echo pod >> ${dir}/name; : > ${dir}/ready; exec sleep 1000`
      await inPod(group, 'start', dir, binary, script)
      await eventually('it runs', () =>
        readFile(join(dir, 'ready')).then(
          () => true,
          () => false,
        ),
      )
      expect((await readFile(join(dir, 'same'), 'utf8')).trim().split('\n')).toEqual([
        'mnt',
        'net',
        'uts',
        'pid',
        'ipc',
      ])
      expect(await readFile(join(dir, 'name'), 'utf8')).toBe('the-host\n')
      await endPod(group)
      const runs = JSON.parse(await inPod(group, 'back', dir))
      expect(runs).toMatchObject([{ id: 'long', state: 'running' }])
    } finally {
      init.kill('SIGKILL')
      await endPod(group)
      await run('sh', ['-c', 'rmdir /sys/fs/cgroup/*/shellcron /sys/fs/cgroup/shellcron 2> /dev/null || :'])
    }
  })
})

const INIT = 'mount --make-rprivate /; hostname the-host; echo up; while :; do sleep 1000 & wait; done'
/** The pod has its own control group if there is one, its own host name, and a file that only the pod sees. */
const POD =
  'if [ -n "$0" ]; then mkdir -p "$0"; echo $$ > "$0/cgroup.procs"; fi; hostname the-pod; mount -t tmpfs pod /mnt; : > /mnt/inside-pod; exec "$@"'

/** The path of the pod's control group; '' without cgroup v2, which alone can kill a group at once. */
async function podGroup(): Promise<string> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  const place = / \/ (\S+) .* - cgroup2 /.exec(mounts)?.[1]
  return place === undefined ? '' : join(place, `test-pod-${process.pid}`)
}

/** Ends the pod as the kubelet does. The group can be removed only if no process is left in it. */
async function endPod(group: string): Promise<void> {
  if (group === '') return
  await writeFile(join(group, 'cgroup.kill'), '1').catch(() => undefined)
  await eventually('the group of the pod is gone', () =>
    run('sh', ['-c', `[ ! -d ${group} ] || rmdir ${group}`]).then(
      () => true,
      () => false,
    ),
  )
}

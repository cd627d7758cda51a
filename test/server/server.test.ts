import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makePackages } from '../../scripts/packages.ts'
import { eventually } from '../fault/eventually.ts'
import { type Up, upOn } from '../fixtures/up.ts'
import { temporaryDirectory } from '../servers/directory.ts'
import { HOST_ADDRESS, type Server, startServer } from '../servers/server.ts'

const canRun = process.getuid?.() === 0 && existsSync('/usr/bin/qemu-system-x86_64')

/** How long an emulated machine may take for what a real one does in seconds, ms. */
const SLOW = 600_000

/**
 * The life of a plain server, from the first installation to the purge of the package, in the order of the tests. The operator is
 * `shellcron up --listen` on this machine.
 */
describe.runIf(canRun)('a Debian server with systemd and cgroup v2', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  let server: Server
  let up: Up

  beforeAll(async () => {
    directory = await temporaryDirectory('shellcron-server-test-')
    const packages = join(directory.path, 'packages')
    const [first, second] = await Promise.all(
      ['0.1.0', '0.1.1'].map(version =>
        makePackages({ arch: 'amd64', out: packages, version, isQuick: true }),
      ),
    )
    server = await startServer()
    await copyFile(first?.deb ?? '', join(server.share, 'first.deb'))
    await copyFile(second?.deb ?? '', join(server.share, 'second.deb'))
    up = await upOn(undefined, ['--listen', HOST_ADDRESS], { within: server.network })
  })
  afterAll(async () => {
    await up?.remove()
    await server?.stop()
    await directory?.remove()
  })

  const shellcron = async (...args: string[]) => {
    const [program, ...all] = [
      ...server.network,
      'bin/shellcron',
      ...args,
      '--state',
      join(up.directory, '.shellcron'),
    ]
    return (await promisify(execFile)(program, all)).stdout
  }
  const outcomeOf = (name: string) => up.outcomes().find(outcome => outcome.name === name)
  const ended = (name: string) =>
    eventually(
      () => `${name} has ended\n${up.lines().join('\n')}`,
      () => outcomeOf(name),
      SLOW,
    )
  const begun = (name: string) =>
    eventually(`${name} has begun`, async () => (await outputOf(name)).includes('begun'), SLOW)
  const outputOf = (name: string) => shellcron('logs', name, '--shell-run').catch(() => '')
  /** The output comes after the outcome. */
  const printed = async (name: string, text: string) => {
    let output = ''
    await eventually(
      () => `${name} has printed ${text}, not ${output}`,
      async () => (output = await outputOf(name)) === text,
      SLOW,
    )
  }
  /** Runs a script on the server. */
  const order = (name: string, script: string, host: Record<string, unknown> = {}) =>
    writeFile(
      join(up.directory, `${name}.yaml`),
      JSON.stringify({
        apiVersion: 'shellcron.dev/v1alpha1',
        kind: 'ShellRun',
        metadata: { name },
        spec: { template: { spec: { target: { agents: ['server-1'] }, host, script } } },
      }),
    )

  test('the package installs with dpkg alone, and starts nothing', async () => {
    await server.run(`${FILES} > /var/tmp/files-before; ${PROCESSES} > /var/tmp/processes-before`)
    expect(await server.run('cat /var/tmp/files-before')).toContain('\n/usr/bin/dpkg\n')
    expect(await server.run('cat /var/tmp/processes-before')).toContain('systemd-journald')
    await server.run('dpkg --install /host/first.deb')
    expect(await server.run('shellcron --version')).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(await server.run('systemctl is-enabled shellcron-agent || true')).toBe('disabled\n')
    expect(await server.run('systemctl is-active shellcron-agent || true')).toBe('inactive\n')
  })

  test('it joins by the line that join-command prints, and says that it is Ready', async () => {
    const line = (
      await eventually('a line', () => shellcron('join-command', 'server-1').catch(() => ''), SLOW)
    ).trim()
    expect(line).toMatch(/^sudo shellcron join https:\/\//)
    const said = await server.run(`${line.replace('sudo ', '')} --allow-root --timeout 600s`, 2 * SLOW)
    expect(said).toContain('server-1 has joined: it is Ready')
    expect(
      await server.run('systemctl is-enabled shellcron-agent; systemctl is-active shellcron-agent'),
    ).toBe('enabled\nactive\n')
    expect(
      await server.run('stat -c %a /etc/shellcron/identity /etc/shellcron/agent.yaml /var/lib/shellcron'),
    ).toBe('700\n600\n700\n')
  })

  test('a host job has its limits by cgroup v2, and its output comes back', async () => {
    const group = '/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)'
    await order('limits', `cd ${group}; cat cpu.max memory.max pids.max; id -un`, {
      resources: { cpu: '500m', memory: '128Mi', pids: 40 },
    })
    expect(await ended('limits')).toMatchObject({ outcome: 'Succeeded' })
    await printed('limits', '50000 100000\n134217728\n40\nroot\n')
  })

  test('a job that needs more memory than its limit is OOMKilled', async () => {
    await order('hungry', 'head -c 300000000 /dev/zero | tail', { resources: { memory: '64Mi' } })
    expect(await ended('hungry')).toMatchObject({ outcome: 'Failed', reason: 'OOMKilled' })
  })

  test('a run survives a restart of the agent, with all of its output', async () => {
    await order('restarted', 'echo begun; while [ ! -e /run/restarted ]; do sleep 1; done; echo ended')
    await begun('restarted')
    await server.run('systemctl restart shellcron-agent; touch /run/restarted')
    expect(await ended('restarted')).toMatchObject({ outcome: 'Succeeded' })
    await printed('restarted', 'begun\nended\n')
  })

  test('a run survives an upgrade of the package, which restarts the agent', async () => {
    await order('upgraded', 'echo begun; while [ ! -e /run/upgraded ]; do sleep 1; done; echo ended')
    await begun('upgraded')
    const pid = 'systemctl show --property MainPID --value shellcron-agent'
    const before = await server.run(pid)
    await server.run('dpkg --install /host/second.deb')
    expect(await server.run(pid)).not.toBe(before)
    expect(await server.run("dpkg-query --show --showformat '${Version}' shellcron")).toBe('0.1.1')
    await server.run('touch /run/upgraded')
    expect(await ended('upgraded')).toMatchObject({ outcome: 'Succeeded' })
    await printed('upgraded', 'begun\nended\n')
  })

  test('a crash of the machine during a run ends it as Lost, and the server goes on with the next ones', async () => {
    await order('rebooted', 'echo begun; sleep 3600')
    await begun('rebooted')
    await server.reboot('crash')
    expect(await ended('rebooted')).toMatchObject({ outcome: 'Lost' })
    await order('next', 'echo here')
    expect(await ended('next')).toMatchObject({ outcome: 'Succeeded' })
  })

  test('a reboot ends a run, and the agent starts with the machine', async () => {
    await order('rebooted-cleanly', 'echo begun; sleep 3600')
    await begun('rebooted-cleanly')
    await server.reboot()
    // systemd sends SIGTERM to the command, the launcher and the agent at once. Lost: nobody was left to record the end.
    const { outcome } = await ended('rebooted-cleanly')
    expect(['Failed', 'Lost']).toContain(outcome)
    await order('after-reboot', 'echo here')
    expect(await ended('after-reboot')).toMatchObject({ outcome: 'Succeeded' })
  })

  test('leave and purge leave nothing', async () => {
    const said = await server.run('shellcron leave', SLOW)
    expect(said).toContain('This machine has left.')
    expect(said).not.toContain('warning')
    expect(await server.run('ls -A /etc/shellcron /var/lib 2>&1')).not.toContain('identity')
    await server.run('dpkg --purge shellcron')
    await server.run(`${FILES} > /var/tmp/files-after; ${PROCESSES} > /var/tmp/processes-after`)
    expect(await server.run('diff /var/tmp/files-before /var/tmp/files-after || true')).toBe('')
    expect(await server.run('diff /var/tmp/processes-before /var/tmp/processes-after || true')).toBe('')
    expect(await server.run('systemctl list-units --all --no-legend "shellcron*"')).toBe('')
  })
})

/** All files and directories of the disk, but those that a Debian changes by itself and the test's own. */
const FILES =
  "find / -xdev -not -path '/var/log/*' -not -path '/var/lib/dpkg/*' -not -path '/var/lib/systemd/*' -not -path '/var/cache/*' -not -path '/tmp*' -not -path '/var/tmp*' -not -path '/root*' | sort"
/** The command lines of all processes outside of the kernel, but the test's own. */
const PROCESSES = `for each in /proc/[0-9]*; do
  grep -q test-host $each/cgroup || { tr '\\0' ' ' < $each/cmdline && echo; }
done 2> /dev/null | sort --unique | grep .`

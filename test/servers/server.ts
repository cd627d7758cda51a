import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Child, startChild } from '../../platform/child-process.ts'
import { eventually } from '../fault/eventually.ts'
import { temporaryDirectory } from './directory.ts'
import { type ServerDisk, serverDisk } from './server-disk.ts'

/** A Debian with systemd and pure cgroup v2 in a virtual machine. It is emulated, so it is slow, and runs on any machine. */
export interface Server {
  /** A directory of both: here, and as /host in the server. */
  share: string
  /** A command prefix for the network that the server is in. There, a program that listens on HOST_ADDRESS is reached by the server. */
  network: readonly string[]
  /** Runs a script as root. Rejects if it fails, with its output. */
  run(script: string, timeoutMs?: number): Promise<string>
  /** Resolves when the server is up again. `crash`: it stops at once, as in a power failure. */
  reboot(how?: 'crash'): Promise<void>
  /** Pulls the plug, and removes what it wrote. */
  stop(): Promise<void>
}

/** Of this machine, as the server sees it. */
export const HOST_ADDRESS = '10.9.8.7'

/** No login; no protection between processes, which is dear in an emulator; and patience, for a busy machine. One processor never waits for another. */
const KERNEL_OPTIONS =
  'root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off nowatchdog systemd.getty_auto=no systemd.default_timeout_start_sec=900'
const BOOT_MS = 900_000
const SCRIPT_MS = 300_000

/** Each boot writes its id, and then starts each script as it comes. */
const LOOP = `export HOME=/root
mv /host/boot.new /host/boot 2>/dev/null
cat /proc/sys/kernel/random/boot_id > /host/boot.new && mv /host/boot.new /host/boot
while :; do
  for script in /host/todo/*; do
    [ -e "$script" ] || continue
    name=\${script##*/}
    mv "$script" "/host/running/$name"
    (
      cd /
      sh "/host/running/$name" > "/host/done/$name.out" 2>&1 < /dev/null
      echo $? > "/host/done/$name.new" && mv "/host/done/$name.new" "/host/done/$name.code"
    ) &
  done
  sleep 0.3
done
`

export async function startServer(): Promise<Server> {
  const disk = await serverDisk()
  const directory = await temporaryDirectory('shellcron-debian-')
  const dir = directory.path
  const share = join(dir, 'share')
  for (const name of ['todo', 'running', 'done']) await mkdir(join(share, name), { recursive: true })
  await writeFile(join(share, 'loop.sh'), LOOP)
  const child = await startQemu(dir, disk)
  const server = { share, child, dir, scripts: 0 }
  const stop = async () => {
    child.signal('SIGKILL')
    await child.ended
    await directory.remove()
  }
  try {
    await booted(server, '')
  } catch (error) {
    await stop()
    throw error
  }
  return {
    share,
    network: ['/usr/bin/nsenter', `--net=/proc/${child.pid}/ns/net`, '--'],
    run: (script, timeoutMs) => runScript(server, script, timeoutMs),
    async reboot(how) {
      const before = await bootOf(server)
      // Its answer does not come.
      await write(server, how === 'crash' ? 'echo b > /proc/sysrq-trigger' : 'systemctl reboot')
      await booted(server, before)
    },
    stop,
  }
}

interface Running {
  share: string
  dir: string
  child: Child
  scripts: number
}

/** Its network has HOST_ADDRESS, and no way out. What the server writes goes to a file without a name, below `dir`. */
function startQemu(dir: string, { disk, kernel, initrd }: ServerDisk): Promise<Child> {
  const qemu = [
    ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'Nehalem', '-m', '1024', '-smp', '1'],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-serial', `file:${dir}/console`],
    ['-kernel', kernel, '-initrd', initrd, '-append', KERNEL_OPTIONS],
    ['-drive', `file=${disk},if=virtio,format=raw,snapshot=on`],
    ['-virtfs', `local,path=${dir}/share,mount_tag=host,security_model=none`],
    ['-nic', 'user,model=virtio-net-pci', '-device', 'virtio-rng-pci'],
  ].flat()
  return startChild({
    name: 'the server',
    command: '/usr/bin/unshare',
    args: [
      '--net',
      '/bin/sh',
      '-c',
      `ip link set lo up && ip address add ${HOST_ADDRESS} dev lo && exec "$@"`,
      'sh',
      ...qemu,
    ],
    env: { ...process.env, TMPDIR: dir },
  })
}

async function booted(server: Running, before: string): Promise<void> {
  await eventually(
    () => `the server has booted: ${server.child.tail()}`,
    async () => {
      if (server.child.ending()) throw new Error(`the server ended: ${server.child.tail()}`)
      const boot = await bootOf(server)
      return boot !== '' && boot !== before
    },
    BOOT_MS,
  )
}

function bootOf({ share }: Running): Promise<string> {
  return readFile(join(share, 'boot'), 'utf8').catch(() => '')
}

async function write(server: Running, script: string): Promise<string> {
  const name = String(server.scripts++).padStart(4, '0')
  await writeFile(join(server.share, name), script)
  await rename(join(server.share, name), join(server.share, 'todo', name))
  return name
}

async function runScript(server: Running, script: string, timeoutMs = SCRIPT_MS): Promise<string> {
  const name = await write(server, script)
  const done = join(server.share, 'done')
  await eventually(
    `this has run: ${script}`,
    async () => (await readdir(done)).includes(`${name}.code`),
    timeoutMs,
  )
  const [code, output] = await Promise.all(
    ['code', 'out'].map(end => readFile(join(done, `${name}.${end}`), 'utf8')),
  )
  for (const end of ['code', 'out']) await rm(join(done, `${name}.${end}`))
  if (Number(code) !== 0) throw new Error(`exit code ${Number(code)}: ${script}\n${output}`)
  return output ?? ''
}

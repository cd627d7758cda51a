import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { readMachine } from '../../cli/up/config.ts'
import { makeOnce } from '../../platform/make-once.ts'

const run = promisify(execFile)

const SUITE = 'bookworm'
/** Beside Debian's required packages. */
const PACKAGES = ['systemd-sysv', 'dbus', 'udev', 'linux-image-amd64', 'iproute2', 'kmod']
const SIZE = '3G'

/** What makes a Debian a server of tests. The shared directory decides what it does, so this changes seldom. */
const FILES: Record<string, string> = {
  'etc/hostname': 'server-1\n',
  'etc/hosts': '127.0.0.1 localhost\n127.0.1.1 server-1\n',
  'etc/resolv.conf': '',
  'etc/systemd/network/10-en.network': '[Match]\nName=en*\n[Network]\nDHCP=yes\n',
  'etc/systemd/system/test-host.service': `[Unit]
Description=Runs scripts of the test
[Service]
ExecStart=/bin/sh -c 'modprobe 9pnet_virtio; mkdir -p /host; mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 host /host && exec /bin/sh /host/loop.sh'
KillMode=process
[Install]
WantedBy=multi-user.target
`,
}
const ENABLED = ['systemd-networkd.service', 'test-host.service']
/** Nothing of it uses the network by itself. */
const MASKED = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'e2scrub_all.timer',
  'fstrim.timer',
  'dpkg-db-backup.timer',
]

export interface ServerDisk {
  /** An ext4 file system. */
  disk: string
  kernel: string
  initrd: string
}

/** A disk with Debian and systemd, in the cache. The first call makes it, which takes root, `debootstrap` and some minutes. */
export async function serverDisk(): Promise<ServerDisk> {
  const recipe = JSON.stringify([SUITE, PACKAGES, SIZE, FILES, ENABLED, MASKED])
  const key = createHash('sha256').update(recipe).digest('hex').slice(0, 12)
  const dir = join(readMachine().cacheDir, `server-${key}`)
  await makeOnce({ dir, names: ['disk', 'kernel', 'initrd'], make: makeDisk })
  return { disk: join(dir, 'disk'), kernel: join(dir, 'kernel'), initrd: join(dir, 'initrd') }
}

async function makeDisk(tmp: string): Promise<void> {
  process.stderr.write('making a disk with Debian, once for this machine; this takes two to ten minutes\n')
  const root = join(tmp, 'root')
  const include = `--include=${PACKAGES.join(',')}`
  await run('nice', ['debootstrap', '--variant=minbase', include, SUITE, root], { maxBuffer: 64 * 1024 ** 2 })
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  await run('systemctl', ['--root', root, 'enable', ...ENABLED])
  for (const unit of MASKED) await symlink('/dev/null', join(root, 'etc/systemd/system', unit))
  const boot = await readdir(join(root, 'boot'))
  for (const [name, prefix] of [
    ['kernel', 'vmlinuz-'],
    ['initrd', 'initrd.img-'],
  ] as const) {
    const file = boot.find(each => each.startsWith(prefix))
    if (!file) throw new Error(`Debian's kernel package has no ${prefix}*`)
    await copyFile(join(root, 'boot', file), join(tmp, name))
  }
  await rm(join(root, 'var/cache/apt'), { recursive: true, force: true })
  await run('nice', ['mke2fs', '-q', '-t', 'ext4', '-d', root, join(tmp, 'disk'), SIZE])
  await rm(root, { recursive: true })
}

/** Runs before `make server-test`: installs and makes what its tests start, once per machine. Needs root on Debian. */
import { serverDisk } from '../test/servers/server-disk.ts'
import { installPackages } from './apt.ts'

installPackages({ debootstrap: '/usr/sbin/debootstrap', 'qemu-system-x86': '/usr/bin/qemu-system-x86_64' })
await serverDisk()

import { existsSync } from 'node:fs'

/** Debian packages that tests need, each with a file of it. */
export const clusterPackages = {
  'busybox-static': '/bin/busybox',
  containerd: '/usr/bin/containerd',
  'containernetworking-plugins': '/usr/lib/cni/bridge',
  iproute2: '/sbin/ip',
  iptables: '/usr/sbin/iptables',
  podman: '/usr/bin/podman',
  runc: '/usr/sbin/runc',
}

export const allPackages = {
  ...clusterPackages,
  conmon: '/usr/bin/conmon',
  crun: '/usr/bin/crun',
  postgresql: '/usr/lib/postgresql',
}

/** The names of the packages whose file does not exist. */
export function missingPackages(packages: Record<string, string>): string[] {
  return Object.entries(packages).flatMap(([name, path]) => (existsSync(path) ? [] : [name]))
}

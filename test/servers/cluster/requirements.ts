import { accessSync, constants } from 'node:fs'
import { clusterPackages, missingPackages } from '../packages.ts'

/** Why this machine cannot run a cluster; undefined if it can. */
export function whyNoCluster(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a cluster needs root on Linux'
  const missing = missingPackages(clusterPackages)
  if (missing.length > 0) return `a cluster needs the packages ${missing.join(', ')}`
  try {
    accessSync('/sys/fs/cgroup', constants.W_OK)
    return undefined
  } catch {
    return 'a cluster needs /sys/fs/cgroup, writable'
  }
}

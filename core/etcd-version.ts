/** Earlier versions have bugs in roles and leases that ShellCron cannot work around. 3.7.0 has them too. */
export const SAFE_ETCD = '3.6.14 or later, or 3.7.1 or later'

/** Whether this version of etcd, such as `3.6.16`, is fit for production. */
export function isSafeEtcd(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  if (major !== 3) return major > 3
  if (minor === 6) return patch >= 14
  return minor === 7 ? patch >= 1 : minor > 7
}

/** As whom a command on the host is judged, by a ShellPolicy and by an agent's local file. */

const ROOT = 'root'
/** Groups whose members can make themselves root. A number may be any of them. */
const ROOTS_GROUPS = ['root', 'docker', 'lxd', 'disk', 'shadow', 'sudo', 'wheel', 'kmem']

export interface HostUser {
  user?: string | undefined
  group?: string | undefined
}

/** What is root by another name is root. `own`: the agent's user, which is meant by none; root where it is not known. */
export function judgedUser({ user, group }: HostUser, own = ROOT): string {
  const name = user ?? own
  return /^0+$/.test(name) || isRoots(group) ? ROOT : name
}

/** Why it is judged as another one than `user` says; undefined: it is not. */
export function whyJudged(host: HostUser, own = ROOT): string | undefined {
  const judged = judgedUser(host, own)
  if (judged === host.user) return undefined
  if (isRoots(host.group)) return `group ${host.group} can be root`
  return host.user === undefined ? "user is unset, which is the agent's own" : `user ${host.user}`
}

const isRoots = (group: string | undefined) =>
  group !== undefined && (ROOTS_GROUPS.includes(group) || /^\d+$/.test(group))

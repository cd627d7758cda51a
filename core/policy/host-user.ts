/** The user for which a ShellPolicy and an agent's local file judge a host command. */

const ROOT = 'root'
/** Groups whose members can become root. A numeric group may be any of them. */
const ROOTS_GROUPS = ['root', 'docker', 'lxd', 'disk', 'shadow', 'sudo', 'wheel', 'kmem']

export interface HostUser {
  user?: string | undefined
  group?: string | undefined
}

/**
 * `root` for everything that can become root: user 0, a group of root's, a numeric group. `own`: the agent's user, which counts if no
 * user is set; root if it is not known.
 */
export function judgedUser({ user, group }: HostUser, own = ROOT): string {
  const name = user ?? own
  return /^0+$/.test(name) || isRoots(group) ? ROOT : name
}

/** Why another user than `user` is judged; undefined: `user` itself is. */
export function whyJudged(host: HostUser, own = ROOT): string | undefined {
  const judged = judgedUser(host, own)
  if (judged === host.user) return undefined
  if (isRoots(host.group)) return `host.group ${host.group} can become root`
  return host.user === undefined
    ? "host.user is not set, so the agent's own user counts"
    : `host.user is ${host.user}`
}

const isRoots = (group: string | undefined) =>
  group !== undefined && (ROOTS_GROUPS.includes(group) || /^\d+$/.test(group))

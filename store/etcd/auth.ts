import type {
  IAuthRoleGetResponse,
  IAuthRoleListResponse,
  IAuthUserGetResponse,
  IAuthUserListResponse,
} from 'etcd3'
import type { ClusterMembers } from './cluster-members.ts'
import { rangeOf } from './messages.ts'
import { sendUntilAnswered } from './requests.ts'
import type { KeyRange } from './types.ts'

/** What a role may do with some keys. */
export interface Right {
  keys: KeyRange
  write: boolean
}

/**
 * etcd's users and roles. A user is the common name of a client's certificate; it has no password. Each call is for the role `root`, may be
 * repeated, and succeeds if its effect is there already.
 */
export interface EtcdAuth {
  /** From then on etcd refuses a client without a user. The user `root` with the role `root` must exist. */
  enable(): Promise<void>
  users(): Promise<string[]>
  addUser(user: string, role: string): Promise<void>
  deleteUser(user: string): Promise<void>
  roles(): Promise<string[]>
  /** Makes the role, and gives it exactly these rights. */
  putRole(role: string, rights: readonly Right[]): Promise<void>
  deleteRole(role: string): Promise<void>
}

export function etcdAuth(members: ClusterMembers): EtcdAuth {
  const send = <T>(method: string, request: object = {}) =>
    sendUntilAnswered<T>(members, { service: 'Auth', method, request })
  return {
    enable: async () => void (await send('authEnable')),
    users: async () => (await send<IAuthUserListResponse>('userList')).users,
    async addUser(name, role) {
      const options = { no_password: true }
      const isNew = await unless(/user name already exists/, send('userAdd', { name, options }))
      // A read, which costs etcd no write: at its start an operator asks for every agent.
      const has = !isNew && (await send<IAuthUserGetResponse>('userGet', { name })).roles.includes(role)
      if (!has) await send('userGrantRole', { user: name, role })
    },
    deleteUser: async name => void (await unless(/user name not found/, send('userDelete', { name }))),
    roles: async () => (await send<IAuthRoleListResponse>('roleList')).roles,
    putRole: async (name, rights) => {
      await unless(/role name already exists/, send('roleAdd', { name }))
      const { perm } = await send<IAuthRoleGetResponse>('roleGet', { role: name })
      const wanted = new Map(rights.map(right => [textOf(permissionOf(right)), permissionOf(right)]))
      for (const given of perm) {
        if (wanted.delete(textOf(given))) continue
        const { key, range_end } = given
        await unless(
          /permission is not granted/,
          send('roleRevokePermission', { role: name, key, range_end }),
        )
      }
      for (const missing of wanted.values()) await send('roleGrantPermission', { name, perm: missing })
    },
    deleteRole: async role => void (await unless(/role name not found/, send('roleDelete', { role }))),
  }
}

type Permission = IAuthRoleGetResponse['perm'][number]

function permissionOf({ keys, write }: Right): Permission {
  return { permType: write ? 'Readwrite' : 'Read', ...rangeOf(keys) }
}

function textOf({ permType, key, range_end }: Permission): string {
  return JSON.stringify([permType, key.toString(), range_end.toString()])
}

/** Resolves also if etcd says that there is nothing to do: then to false. */
async function unless(says: RegExp, sent: Promise<unknown>): Promise<boolean> {
  try {
    await sent
    return true
  } catch (error) {
    if (!(error instanceof Error && says.test(error.message))) throw error
    return false
  }
}

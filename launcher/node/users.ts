import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'

/** Whom a command runs as. `groups` are the supplementary ones, without `gid`. */
export interface Identity {
  uid: number
  gid: number
  groups: number[]
  /** Undefined for a number that no user has. */
  account: { name: string; home: string; shell: string } | undefined
}

export type IdentityProblem = { reason: 'NoSuchUser' | 'NoSuchGroup' | 'NotPermitted'; message: string }

/** util-linux's, which can set supplementary groups; Node's spawn can only drop them. */
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find(path => existsSync(path))

/**
 * Reads /etc/passwd and /etc/group, and asks `getent` and `id` for users that only a directory service knows. Undefined: the
 * launcher's own user serves.
 */
export async function identityOf(
  user: string | undefined,
  group: string | undefined,
): Promise<Identity | IdentityProblem | undefined> {
  if (user === undefined && group === undefined) return undefined
  const account = await accountOf(user ?? String(process.getuid?.()))
  const uid = account?.uid ?? numberOf(user)
  if (uid === undefined) return { reason: 'NoSuchUser', message: `there is no user ${user} on this machine` }
  const gid = await groupFor(group, { uid, account })
  if (gid === undefined) return noSuchGroup(user, group)
  const mayBecome = process.getuid?.() === 0 || (process.getuid?.() === uid && process.getgid?.() === gid)
  if (!mayBecome) return notPermitted(user, group)
  return { uid, gid, groups: await supplementary(account, gid), account }
}

/** Of a number that no user has there is none: the launcher's own, which may be root's, is not for it. */
async function groupFor(
  group: string | undefined,
  { uid, account }: { uid: number; account: Account | undefined },
): Promise<number | undefined> {
  if (group !== undefined) return groupId(group)
  return account?.gid ?? (uid === process.getuid?.() ? process.getgid?.() : undefined)
}

function noSuchGroup(user: string | undefined, group: string | undefined): IdentityProblem {
  const message =
    group === undefined
      ? `user ${user} has no account on this machine, and so no group: set host.group`
      : `there is no group ${group} on this machine`
  return { reason: 'NoSuchGroup', message }
}

function notPermitted(user: string | undefined, group: string | undefined): IdentityProblem {
  const whom = [user && `user ${user}`, group && `group ${group}`].filter(Boolean).join(' and ')
  return { reason: 'NotPermitted', message: `to run as ${whom} the launcher must be root` }
}

/** The account of who a command without an identity runs as: ours. */
export const ownAccount = () => accountIn(readLines('/etc/passwd'), String(process.getuid?.()))

/** The command line that takes on the identity where spawn's uid and gid do not suffice. */
export function withGroups(
  identity: Identity | undefined,
  argv: readonly string[],
): readonly string[] | undefined {
  if (!identity || identity.groups.length === 0 || process.getuid?.() !== 0 || !SETPRIV) return undefined
  const ids = ['--reuid', String(identity.uid), '--regid', String(identity.gid)]
  return [SETPRIV, ...ids, '--groups', identity.groups.join(','), '--', ...argv]
}

interface Account {
  uid: number
  gid: number
  name: string
  home: string
  shell: string
  isLocal: boolean
}

async function accountOf(user: string): Promise<Account | undefined> {
  const local = accountIn(readLines('/etc/passwd'), user)
  if (local) return { ...local, isLocal: true }
  const asked = accountIn(await ask('getent', ['passwd', user]), user)
  return asked && { ...asked, isLocal: false }
}

function accountIn(lines: string[], user: string): Omit<Account, 'isLocal'> | undefined {
  const rows = lines.map(line => line.split(':'))
  const row = rows.find(row => row[0] === user) ?? rows.find(row => row.length > 6 && row[2] === user)
  if (!row) return undefined
  const [name = '', , uid, gid, , home = '/', shell = '/bin/sh'] = row
  return { uid: Number(uid), gid: Number(gid), name, home, shell: shell || '/bin/sh' }
}

async function groupId(group: string): Promise<number | undefined> {
  const find = (lines: string[]) => lines.map(line => line.split(':')).find(row => row[0] === group)?.[2]
  const id = find(readLines('/etc/group')) ?? find(await ask('getent', ['group', group]))
  return numberOf(id ?? group)
}

/** Without the primary one. */
async function supplementary(account: Account | undefined, primary: number): Promise<number[]> {
  const groups = account ? await groupsOf(account) : []
  return groups.filter(id => id !== primary)
}

async function groupsOf(account: Account): Promise<number[]> {
  if (!account.isLocal) {
    const [line = ''] = await ask('id', ['-G', account.name])
    return line.split(' ').filter(isNumber).map(Number)
  }
  return readLines('/etc/group')
    .map(line => line.split(':'))
    .filter(row => row[3]?.split(',').includes(account.name))
    .map(row => Number(row[2]))
}

const numberOf = (name: string | undefined) =>
  name !== undefined && isNumber(name) ? Number(name) : undefined

const isNumber = (name: string) => /^\d+$/.test(name)

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch {
    return []
  }
}

/** A program's lines; none if it fails or is not there. */
async function ask(program: string, args: string[]): Promise<string[]> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: 5_000 })
  const failed = new Promise<string>(resolve => child.once('error', () => resolve('')))
  const lines = (await Promise.race([text(child.stdout), failed])).split('\n')
  return lines.filter(line => line !== '')
}

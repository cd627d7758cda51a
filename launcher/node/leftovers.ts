import { existsSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bootId } from '../../platform/boottime.ts'
import { recordOf } from './entry.ts'
import { type ArmedEntry, type EndedEntry, type Journal, type StartedEntry, silent } from './journal.ts'
import { Notes } from './notes.ts'
import { type Root, readProcess } from './process-table.ts'
import type { TreeSignaller } from './signal-tree.ts'
import { spoolName } from './spool.ts'
import { recoverOutput, recoverTail } from './spool-recover.ts'

/**
 * What an earlier launcher left running is killed, and ends as lost: its exit code is not known to anybody. Returns what has
 * ended and is not forgotten yet.
 */
export async function settleLeftovers(
  journal: Journal,
  { spoolDir, notesDir }: { spoolDir: string; notesDir: string },
  signaller: TreeSignaller,
): Promise<EndedEntry[]> {
  await removeUnknown(journal, spoolDir)
  const left = journal.entries.filter(entry => entry.type === 'started')
  await Promise.all([
    ...left.filter(isOfThisBoot).map(entry => killLeft(entry, notesDir, signaller)),
    ...journal.armed.filter(isOfThisBoot).map(entry => signaller.kill(rootOf(entry, notesDir))),
  ])
  // Who is not known may have been started all the same, and only its notes say where else it runs.
  await removeUnknown(journal, notesDir)
  const unsure = journal.armed.map(({ id }) => id)
  if (unsure.length > 0) journal.append({ type: 'forgotten', ids: unsure })
  for (const entry of left) {
    const reason = isOfThisBoot(entry) ? 'LauncherDied' : 'MachineRebooted'
    const output = recoverOutput(join(spoolDir, spoolName(entry.id)))
    const record = recordOf(
      { id: entry.id, session: entry.session, labels: entry.labels },
      { cause: { kind: 'lost', reason }, startedAt: entry.startedAt, endedAt: Date.now(), output },
    )
    journal.append({ type: 'ended', at: entry.at, fenced: entry.fenced, record: silent(record) })
  }
  await journal.durable()
  const ended: EndedEntry[] = []
  // One after the other: there may be thousands, and each is a file.
  for (const entry of journal.entries) if (entry.type === 'ended') ended.push(withTail(entry, spoolDir))
  return ended
}

function withTail(entry: EndedEntry, spoolDir: string): EndedEntry {
  const { record } = entry
  const { stdout, stderr } = record
  const said = stdout.bytes + stdout.cut + stderr.bytes + stderr.cut
  if (record.tail !== '' || said === 0 || record.startedAt === null) return entry
  const path = join(spoolDir, spoolName(record.id))
  const tail = recoverTail(path, { from: record.startedAt, to: record.endedAt })
  return { ...entry, record: { ...record, tail } }
}

const isOfThisBoot = (entry: { boot: string }) => entry.boot === bootId()

/** Of a process that nothing but its mark and its notes are known of. */
function rootOf({ id, mark }: ArmedEntry, notesDir: string): Root {
  const notes = new Notes(join(notesDir, spoolName(id)))
  return { pid: 0, ticks: 0, mark: mark || undefined, isGroupKnown: false, strays: new Map(), notes }
}

function killLeft(
  { id, pid, ticks, mark }: StartedEntry,
  notesDir: string,
  signaller: TreeSignaller,
): Promise<void> {
  const notes = new Notes(join(notesDir, spoolName(id)))
  const leads = readProcess(pid)?.ticks === ticks
  return signaller.kill({
    pid,
    ticks,
    mark,
    isGroupKnown: leads || mark === undefined,
    strays: new Map(),
    notes,
  })
}

async function removeUnknown(journal: Journal, dir: string) {
  const known = new Set(
    journal.entries.map(entry => spoolName(entry.type === 'started' ? entry.id : entry.record.id)),
  )
  const unknown = existsSync(dir) ? readdirSync(dir).filter(name => !known.has(name)) : []
  await Promise.all(unknown.map(name => rm(join(dir, name), { force: true })))
}

import type { ExitRecord } from '../../../agent/launcher/messages.ts'
import type { Verdict } from '../../../core/runs/outcome.ts'

/** One command of the table, and what is to be seen of it. */
export interface CommandRow {
  name: string
  script: string
  shell?: readonly string[]
  env?: Record<string, string>
  parameters?: Record<string, string>
  workingDir?: string
  successExitCodes?: readonly number[]
  deadlineSeconds?: number
  graceSeconds?: number
  outputLimit?: number
  /** Killed, because Requested, when it has said `ready`. */
  kill?: true
  /** Only where runs have limits. */
  resources?: { cpuMillis?: number; memoryBytes?: number; pids?: number }
  /** Runs only where the launcher can tell an end by OOM. */
  needs?: 'oom'
  /** Of a plain server: what a container's image, user or runtime decides is another thing. */
  hostOnly?: true
  /** A terminal cannot show it. */
  pipesOnly?: true
  expect: Expected
}

interface Expected {
  outcome: Verdict['outcome']
  /** Default: what the outcome usually has. */
  reason?: string
  exitCode?: number
  /** Where only exit codes are told it is 128 + its number. */
  signal?: string
  /** The command never ran. The launcher's word for it, which a container's runtime may say otherwise. */
  startFailure?: 'NotFound' | 'NotExecutable' | 'NoSuchDirectory' | 'TooBig'
  stdout?: string | RegExp
  stderr?: string | RegExp
  /** What a terminal shows, if not the one of the two that is not empty. */
  onTty?: string | RegExp
  /** The end of both streams, as they came. */
  tail?: string
  /** Of stdout. */
  sha256?: string
  /** Bytes kept and cut of both streams together. */
  counts?: { bytes: number; cut: number }
}

/** What came of a row. */
export interface Seen {
  verdict: Verdict
  record: ExitRecord
  stdout: Buffer
  stderr: Buffer
}

type More = Omit<CommandRow, 'name' | 'script' | 'expect'> & { expect?: Partial<Expected> }

/** A row that succeeds and says `stdout`. */
export function says(name: string, script: string, stdout: string | RegExp, more: More = {}): CommandRow {
  const { expect, ...rest } = more
  return { name, script, ...rest, expect: { outcome: 'Succeeded', stdout, ...expect } }
}

/** A row that fails with this exit code. */
export function fails(name: string, script: string, exitCode: number, more: More = {}): CommandRow {
  const { expect, ...rest } = more
  return { name, script, ...rest, expect: { outcome: 'Failed', exitCode, ...expect } }
}

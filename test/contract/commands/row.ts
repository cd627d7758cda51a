import type { ExitRecord } from '../../../agent/launcher/messages.ts'
import type { Verdict } from '../../../core/runs/outcome.ts'

/** One command of the table, and its expected result. */
export interface CommandRow {
  name: string
  script: string
  shell?: readonly string[]
  /** In place of `shell`: gets the script as a file. */
  interpreter?: readonly string[]
  env?: Record<string, string>
  /** The variables in the machine's local file. */
  machineEnv?: Record<string, string>
  parameters?: Record<string, string>
  workingDir?: string
  successExitCodes?: readonly number[]
  deadlineSeconds?: number
  graceSeconds?: number
  outputLimit?: number
  /** Killed with reason Requested once it has written `ready`. */
  kill?: true
  /** Skipped if the launcher cannot limit resources. */
  resources?: { cpuMillis?: number; memoryBytes?: number; pids?: number }
  limits?: { nofile?: number; core?: number }
  /** The user on the host. Skipped unless these tests run as root. */
  user?: string
  /** Skipped if the launcher cannot detect an OOM kill. */
  needs?: 'oom'
  /** Not run in containers, where the image, the user or the runtime decides the result. */
  hostOnly?: true
  /** Not run with a terminal, which changes the result. */
  pipesOnly?: true
  expect: Expected
}

interface Expected {
  outcome: Verdict['outcome']
  /** Default: the usual reason of the outcome. */
  reason?: string
  exitCode?: number
  /** Containers report the exit code 128 + n instead. */
  signal?: string
  /** The launcher's reason why the command did not start. Containers may report another reason. */
  startFailure?: 'NotFound' | 'NotExecutable' | 'NoSuchDirectory' | 'TooBig'
  stdout?: string | RegExp
  stderr?: string | RegExp
  /** Output on a terminal. Default: stdout or stderr, if only one of them is expected. */
  onTty?: string | RegExp
  /** The tail of the record: both streams in order of arrival. */
  tail?: string
  /** Hash of stdout. */
  sha256?: string
  /** Bytes kept and cut of both streams together. */
  counts?: { bytes: number; cut: number }
}

/** The result of running a row. */
export interface Seen {
  verdict: Verdict
  record: ExitRecord
  stdout: Buffer
  stderr: Buffer
}

type More = Omit<CommandRow, 'name' | 'script' | 'expect'> & { expect?: Partial<Expected> }

/** A row that succeeds and writes `stdout`. */
export function prints(name: string, script: string, stdout: string | RegExp, more: More = {}): CommandRow {
  const { expect, ...rest } = more
  return { name, script, ...rest, expect: { outcome: 'Succeeded', stdout, ...expect } }
}

/** A row whose command fails with this exit code. */
export function fails(name: string, script: string, exitCode: number, more: More = {}): CommandRow {
  const { expect, ...rest } = more
  return { name, script, ...rest, expect: { outcome: 'Failed', exitCode, ...expect } }
}

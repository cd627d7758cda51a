import { spawn } from 'node:child_process'
import { deadline } from '../../platform/clock.ts'

export interface KubectlOptions {
  /** Default: the administrator's. */
  kubeconfig?: string
  stdin?: string
  /** Then it is killed; default: 120 s. */
  withinMs?: number
}

export interface KubectlResult {
  stdout: string
  stderr: string
  /** null: it was killed. */
  code: number | null
}

/** kubectl's refusal is the message; what it printed is in `result`. */
export class KubectlFailed extends Error {
  override readonly name = 'KubectlFailed'
  readonly result: KubectlResult

  constructor(args: string[], result: KubectlResult) {
    super(`kubectl ${args.join(' ')} ended with ${result.code}: ${result.stderr.trim()}`)
    this.result = result
  }
}

/** Runs kubectl with this kubeconfig and nothing of the user's own settings. */
export async function runKubectl(
  program: string,
  args: string[],
  options: KubectlOptions & { kubeconfig: string },
): Promise<KubectlResult> {
  const { kubeconfig, stdin, withinMs = 120_000 } = options
  const limit = deadline(withinMs)
  const child = spawn(program, [`--kubeconfig=${kubeconfig}`, ...args], {
    stdio: 'pipe',
    signal: limit.signal,
    killSignal: 'SIGKILL',
  })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
    })
  }
  // It may end without having read it.
  child.stdin.on('error', () => {})
  child.stdin.end(stdin ?? '')
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    return { ...texts, code }
  } finally {
    limit.done()
  }
}

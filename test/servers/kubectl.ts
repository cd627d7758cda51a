import { spawn } from 'node:child_process'
import { deadline } from '../../platform/clock.ts'

export interface KubectlOptions {
  /** Default: the administrator's. */
  kubeconfig?: string
  stdin?: string
  /** It is killed after this time; default: 120 s. */
  withinMs?: number
  /** Default: this process's environment. */
  env?: NodeJS.ProcessEnv
}

export interface KubectlResult {
  stdout: string
  stderr: string
  /** null: it was killed. */
  code: number | null
}

/** The message is the program's; its output is in `result`. */
export class KubectlFailed extends Error {
  override readonly name = 'KubectlFailed'
  readonly result: KubectlResult

  constructor(args: string[], result: KubectlResult, program = 'kubectl') {
    super(`${program} ${args.join(' ')} ended with ${result.code}: ${result.stderr.trim()}`)
    this.result = result
  }
}

/** Runs kubectl, or a program with the same flag, with this kubeconfig and none of the user's settings. */
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
    ...(options.env ? { env: options.env } : {}),
  })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
    })
  }
  // It may end without reading its stdin.
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

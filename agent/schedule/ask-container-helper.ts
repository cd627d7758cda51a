import { spawn } from 'node:child_process'

/** Asks the helper whether a container runtime here has the container. Rejects if it cannot be started, or the signal aborts. */
export function askContainerHelper(helper: string, request: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(helper, ['--find'], {
      env: {},
      stdio: ['pipe', 'ignore', 'ignore'],
      signal,
      killSignal: 'SIGKILL',
    })
    child.on('error', reject)
    child.on('exit', code => resolve(code === 0))
    child.stdin.on('error', () => undefined)
    child.stdin.end(request)
  })
}

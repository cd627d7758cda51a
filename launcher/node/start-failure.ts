import { accessSync, constants, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import type { Arm } from './protocol.ts'

/** A command that could not be started. `code` is what a shell would have exited with. */
export interface StartFailure {
  reason: string
  message: string
  code: number | null
}

/** From what spawn said; ENOENT may mean the program or the folder. */
export function startFailure(error: unknown, arm: Arm): StartFailure {
  const { code, message } = error as NodeJS.ErrnoException
  if (!isFolder(arm.workingDir))
    return { reason: 'NoSuchDirectory', message: `${arm.workingDir} is no directory`, code: null }
  const program = arm.argv[0]
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return { reason: 'NotFound', message: `${program} was not found`, code: 127 }
    case 'EACCES':
      return {
        reason: 'NotExecutable',
        message: `no permission to execute ${program} or to enter ${arm.workingDir}`,
        code: 126,
      }
    case 'ENOEXEC':
      return { reason: 'NotExecutable', message: `${program} has no format that can be executed`, code: 126 }
    case 'E2BIG':
      return {
        reason: 'TooBig',
        message: 'arguments and environment exceed what the system takes',
        code: 126,
      }
    case 'EPERM':
      return { reason: 'NotPermitted', message, code: 126 }
    default:
      return { reason: 'NoResources', message, code: null }
  }
}

/** The program's file, looked for as execvp does; undefined if there is none. */
export function findProgram(program: string, path: string, workingDir: string): string | undefined {
  const candidates = program.includes('/')
    ? [program]
    : path.split(':').map(folder => join(folder || '.', program))
  return candidates
    .map(candidate => (isAbsolute(candidate) ? candidate : join(workingDir, candidate)))
    .find(candidate => {
      try {
        accessSync(candidate, constants.X_OK)
        return !statSync(candidate).isDirectory()
      } catch {
        return false
      }
    })
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

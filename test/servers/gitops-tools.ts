import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { argocdProgram, kstatusProgram } from './binaries.ts'

/** What GitOps controllers make of objects, by the code that they use themselves. */

export interface Verdict {
  status: string
  message: string
}

/** The verdict of `sigs.k8s.io/cli-utils` on each object: InProgress, Failed, Current or Terminating. Flux and Helm 4 use it. */
export async function kstatus(objects: readonly unknown[]): Promise<Verdict[]> {
  return JSON.parse(await run(await kstatusProgram(), [], JSON.stringify(objects))) as Verdict[]
}

const HEALTH = fileURLToPath(new URL('../../examples/gitops/argocd/health.yaml', import.meta.url))
const KEY = 'resource.customizations.health.shellcron.dev_'

/** Writes the health scripts that users give to Argo CD into the directory. Resolves to the paths by kind. */
export async function writeHealthScripts(dir: string): Promise<Map<string, string>> {
  const { data } = parse(await readFile(HEALTH, 'utf8')) as { data: Record<string, string> }
  const paths = new Map<string, string>()
  for (const [key, script] of Object.entries(data)) {
    const kind = key.replace(KEY, '')
    paths.set(kind, join(dir, `${kind}.lua`))
    await writeFile(join(dir, `${kind}.lua`), script)
  }
  return paths
}

/** The verdict of an Argo CD health script on each object: Healthy, Progressing, Degraded or Suspended. `script`: the path of the Lua file. */
export async function argocdHealth(script: string, objects: readonly unknown[]): Promise<Verdict[]> {
  return JSON.parse(await run(await argocdProgram(), [script], JSON.stringify(objects))) as Verdict[]
}

async function run(program: string, args: string[], input: string): Promise<string> {
  const child = spawn(program, args, { stdio: 'pipe' })
  child.stdin.end(input)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [out, problem, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${problem}`)
  return out
}

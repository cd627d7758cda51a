import { execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The floor: how fast this machine can start commands, and a command that records its start. Both are in C, and built when needed. */
export interface Floor {
  dir: string
  /** Path of the command `stamp NAME FILE`, which appends the time of its start in ns. */
  stamp: string
  /** One command every second, `count` times. Resolves to the lateness in ms, sorted. */
  everySecond(count: number): Promise<number[]>
  /** `count` commands at one instant, at most two in flight. Resolves to the lateness in ms, sorted. */
  burst(count: number): Promise<number[]>
  remove(): Promise<void>
}

export async function buildFloor(): Promise<Floor> {
  const dir = await mkdtemp(join(tmpdir(), 'shellcron-floor-'))
  const source = (name: string) => fileURLToPath(new URL(name, import.meta.url))
  execFileSync('cc', ['-O2', '-o', join(dir, 'floor'), source('floor.c')])
  execFileSync('cc', ['-O2', '-static', '-o', join(dir, 'stamp'), source('stamp.c')])
  const stamp = join(dir, 'stamp')
  let runs = 0
  const run = (args: string[]) =>
    new Promise<void>((resolve, reject) => {
      const child = spawn(join(dir, 'floor'), args, {
        env: { ...process.env, STAMP: stamp },
        stdio: 'inherit',
      })
      child.once('error', reject)
      child.once('exit', code => (code === 0 ? resolve() : reject(new Error(`floor ended with ${code}`))))
    })
  return {
    dir,
    stamp,
    async everySecond(count) {
      const file = join(dir, `every-second-${runs++}`)
      await run(['w1', String(count), file])
      return latenesses(file)
    },
    async burst(count) {
      const file = join(dir, `burst-${runs++}`)
      const at = Math.ceil(Date.now() / 1_000) + 2
      await run(['w2', String(at), String(count), '2', file])
      return latenesses(file, at * 1_000)
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  }
}

/** The lateness of each stamp against `due` (ms) or its whole second: in ms, sorted. Up to 20 ms early counts for the next second. */
export function latenesses(file: string, due?: number): number[] {
  return stampsOf(file)
    .map(({ ms }) => ms - (due ?? Math.floor((ms + 20) / 1_000) * 1_000))
    .sort((a, b) => a - b)
}

export function stampsOf(file: string): { name: string; ms: number }[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [ns = '', name = ''] = line.split(' ')
      return { name, ms: Number(BigInt(ns) / 1_000n) / 1_000 }
    })
}

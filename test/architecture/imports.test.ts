import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/** The rules of docs/architecture.md: which folder may import which, and what core may not use. */
const root = fileURLToPath(new URL('../../', import.meta.url))

const MAY_IMPORT: Record<string, readonly string[]> = {
  core: [],
  platform: [],
  store: ['core', 'platform'],
  operator: ['core', 'platform', 'store'],
  agent: ['core', 'platform', 'store'],
  cli: ['core', 'platform'],
}

/** The only exception: `cli/` may load these, by dynamic import only. */
const DYNAMIC_FROM_CLI = [
  'operator/main.ts',
  'operator/local-setup.ts',
  'operator/installation/main.ts',
  'agent/main.ts',
  'agent/launcher/binaries.ts',
]

interface Source {
  path: string
  text: string
  imports: { to: string; dynamic: boolean }[]
}

function sourcesOf(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map(name => {
      const path = normalize(join(folder, name))
      const text = readFileSync(join(root, path), 'utf8')
      return { path, text, imports: importsOf(text) }
    })
}

function importsOf(text: string): Source['imports'] {
  const found: Source['imports'] = []
  for (const [, to] of text.matchAll(/^(?:import|export)[^'"`;]*?from\s+'([^']+)'/gms))
    found.push({ to: to ?? '', dynamic: false })
  for (const [, to] of text.matchAll(/^import\s+'([^']+)'/gm)) found.push({ to: to ?? '', dynamic: false })
  for (const [, to] of text.matchAll(/\bimport\(\s*'([^']+)'/g)) found.push({ to: to ?? '', dynamic: true })
  return found
}

const resolve = (from: string, to: string) => normalize(join(dirname(from), to))
const within = (path: string, folder: string) => path.startsWith(`${folder}/`)

describe.each(Object.entries(MAY_IMPORT))('%s', (folder, allowed) => {
  test(`imports only itself${allowed.map(name => `, ${name}`).join('')}`, () => {
    const wrong = sourcesOf(folder).flatMap(({ path, imports }) =>
      imports
        .filter(({ to }) => to.startsWith('.'))
        .filter(({ to, dynamic }) => {
          const target = resolve(path, to)
          if ([folder, ...allowed].some(name => within(target, name))) return false
          return !(folder === 'cli' && dynamic && DYNAMIC_FROM_CLI.includes(target))
        })
        .map(({ to }) => `${path} imports ${to}`),
    )
    expect(wrong).toEqual([])
  })
})

function using(folders: readonly string[], pattern: RegExp, except: readonly RegExp[] = []): string[] {
  return folders
    .flatMap(sourcesOf)
    .filter(({ path }) => !except.some(exception => exception.test(path)))
    .filter(({ text }) => pattern.test(withoutComments(text)))
    .map(({ path }) => path)
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
}

const everywhere = Object.keys(MAY_IMPORT)

test('core has no clock, no randomness, no process and no Node', () => {
  expect(using(['core'], /\bDate\.now\(|\bnew Date\(\s*\)|\bMath\.random\(|\bprocess\.|'node:/)).toEqual([])
})

test('timers are set in platform/clock.ts only', () => {
  expect(using(everywhere, /\bset(Timeout|Interval)\(/, [/^platform\/clock\.ts$/])).toEqual([])
})

test('only main.ts and config.ts see the environment', () => {
  expect(using(everywhere, /\bprocess\.env\b/, [/(^|\/)(main|config)\.ts$/])).toEqual([])
})

test('there are no default exports and no barrels', () => {
  expect(using(everywhere, /^export default\b/m)).toEqual([])
  expect(using(everywhere, /^export \* from/m)).toEqual([])
})

test("zod is imported as a namespace: its object z brings every language's messages into each process", () => {
  expect(using(everywhere, /^import (type )?\{[^}]*\bz\b[^}]*\} from 'zod'/m)).toEqual([])
})

test('no package is imported dynamically: in the release, a CommonJS package would then have no named exports', () => {
  const wrong = Object.keys(MAY_IMPORT)
    .flatMap(sourcesOf)
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ to, dynamic }) => dynamic && !/^(\.|node:)/.test(to))
        .map(({ to }) => `${path} imports ${to}`),
    )
  expect(wrong).toEqual([])
})

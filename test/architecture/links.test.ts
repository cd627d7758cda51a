import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/** Relative links in the repository's Markdown files lead to a file that exists, and to a heading in it. */
const root = fileURLToPath(new URL('../../', import.meta.url))

const pages = globSync('**/*.md', { cwd: root, exclude: ['**/node_modules', 'dist', '**/.*'] }).sort()

/** Markdown without fenced blocks, whose lines are neither links nor headings. */
function textOf(page: string): string {
  return readFileSync(join(root, page), 'utf8').replaceAll(/^ *(```|~~~).*?^ *\1/gms, '')
}

function linksOf(text: string): string[] {
  const prose = text.replaceAll(/`[^`\n]*`/g, '')
  const inline = prose.matchAll(/\]\(\s*<?([^)>\s]+)>?(?:\s+"[^"]*")?\s*\)/g)
  const references = prose.matchAll(/^\[[^\]]+\]:\s*<?([^>\s]+)>?/gm)
  return [...inline, ...references].map(([, target]) => target ?? '')
}

/** GitHub's names of the headings: lower case, without punctuation, a number added to a name that came before. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of text.matchAll(/^#{1,6}\s+(.*?)\s*#*$/gm)) {
    const name = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-')
    let anchor = name
    for (let n = 1; anchors.has(anchor); n++) anchor = `${name}-${n}`
    anchors.add(anchor)
  }
  return anchors
}

/** undefined: the link resolves. */
function faultOf(page: string, link: string): string | undefined {
  const [path = '', anchor] = decodeURI(link).split('#', 2)
  const target = path === '' ? page : normalize(join(dirname(page), path))
  if (target.startsWith('..')) return `${link} leaves the repository`
  if (!existsSync(join(root, target))) return `${link}: there is no ${target}`
  if (anchor === undefined || !target.endsWith('.md')) return undefined
  return anchorsOf(textOf(target)).has(anchor) ? undefined : `${link}: ${target} has no such heading`
}

test.each(pages)('the links of %s resolve', page => {
  const relative = linksOf(textOf(page)).filter(link => !/^[a-z][a-z+.-]*:/i.test(link))
  expect(relative.flatMap(link => faultOf(page, link) ?? [])).toEqual([])
})

describe('the check', () => {
  test('finds inline links and references, and no code', () => {
    const text = 'See [a](b.md#c "title"), ![d](<e.png>) and `[f](g)`.\n[h]: i.md\n'
    expect(linksOf(text)).toEqual(['b.md#c', 'e.png', 'i.md'])
  })

  test('names headings as GitHub does', () => {
    const text = '# A `code` & [link](x.md)\n## Twice\n### Twice\n#### snake_case, and-dash #\n'
    expect([...anchorsOf(text)]).toEqual(['a-code--link', 'twice', 'twice-1', 'snake_case-and-dash'])
  })

  test('tells a missing file, a missing heading and a path out of the repository', () => {
    const faults = ['none.md', '#none', '../none', 'README.md', 'docs'].map(link =>
      faultOf('README.md', link),
    )
    expect(faults).toEqual([
      'none.md: there is no none.md',
      '#none: README.md has no such heading',
      '../none leaves the repository',
      undefined,
      undefined,
    ])
  })
})

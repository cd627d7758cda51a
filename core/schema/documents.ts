import { type Document, isNode, LineCounter, parseAllDocuments } from 'yaml'
import { GROUP, InvalidObject, parseObject, type ShellCronObject } from './objects.ts'

/** A text without any of these contains no object of ours. Files of other programs may be in the same directory. */
const OURS = /shellcron\.dev\/|\bShell(?:CronJob|Run|Agent|Policy|Pool)\b/

/** Whether the text contains no object of ours. */
export function isForeign(text: string): boolean {
  return !OURS.test(text)
}

/** A larger file is refused. */
export const MAX_TEXT_BYTES = 4 * 1024 * 1024

interface Header {
  apiVersion?: unknown
  kind?: unknown
  items?: unknown
  metadata?: { name?: unknown; generateName?: unknown }
  spec?: unknown
}

/** A problem in a text. Lines are counted from 1. */
export interface TextProblem {
  line: number
  field?: string
  message: string
}

export interface TextObject {
  object: ShellCronObject
  /** The spec as it was written, without defaults. */
  spec: unknown
  line: number
  /** The line of a field, or of the nearest value around it. */
  lineOf(field: string): number
}

export interface TextContent {
  objects: TextObject[]
  problems: TextProblem[]
}

/**
 * The objects of a YAML text, validated as strictly as by `kubectl apply`. Objects of other API groups are ignored. With `suffix` a ShellRun
 * may have `generateName` in place of a name, as with `kubectl create`; the suffix is appended. API servers use five characters.
 * `isPart`: the text is one document of a text that is not foreign.
 */
export function parseDocuments(
  text: string,
  { suffix, isPart = false }: { suffix?: string; isPart?: boolean } = {},
): TextContent {
  const lines = new LineCounter()
  const content: TextContent = { objects: [], problems: [] }
  if (!isPart && isForeign(text)) return content
  const documents = parseAllDocuments(text, { lineCounter: lines, merge: true, prettyErrors: false })
  if (!Array.isArray(documents)) return content
  for (const document of documents) {
    for (const error of document.errors) {
      const { line } = lines.linePos(error.pos[0])
      content.problems.push({ line, message: `is not valid YAML: ${firstLine(error.message)}` })
    }
  }
  // After a syntax error the rest of the text is not reliable.
  if (content.problems.length > 0) return content
  for (const document of documents) take(document, { lines, content, suffix })
  return content
}

interface Place {
  lines: LineCounter
  content: TextContent
  suffix: string | undefined
}

function take(document: Document, { lines, content, suffix }: Place): void {
  const lineOf = (field: string): number => {
    const path = pathOf(field)
    for (let depth = path.length; depth >= 0; depth--) {
      const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true)
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
    }
    return 1
  }
  try {
    const value: unknown = document.toJS()
    if (!isOurs(value)) return
    const object = parseObject(suffix === undefined ? value : named(value as Header, suffix))
    content.objects.push({ object, spec: (value as Header).spec, line: lineOf(''), lineOf })
  } catch (error) {
    const problems =
      error instanceof InvalidObject
        ? error.problems
        : [{ field: '', message: error instanceof Error ? error.message : String(error) }]
    for (const { field, message } of problems) {
      content.problems.push({ line: lineOf(field), ...(field ? { field } : {}), message })
    }
  }
}

/**
 * Objects of other API groups and files of other programs are ignored. A value with a spec but without apiVersion or kind is checked: a
 * job must not be ignored silently. Throws for a list that contains objects of ours.
 */
function isOurs(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false
  const { apiVersion, kind, items, spec } = value as Header
  if (Array.isArray(items) && items.some(isOurs)) {
    throw new InvalidObject([
      {
        field: 'items',
        message: 'lists are not supported; write each object as a document of its own, separated by ---',
      },
    ])
  }
  if (String(apiVersion).startsWith(`${GROUP}/`) || String(kind).startsWith('Shell')) return true
  return spec !== undefined && (apiVersion === undefined || kind === undefined)
}

function named(value: Header, suffix: string): Header {
  const { kind, metadata } = value
  if (kind !== 'ShellRun' || metadata?.name !== undefined || typeof metadata?.generateName !== 'string')
    return value
  return { ...value, metadata: { ...metadata, name: `${metadata.generateName}${suffix}` } }
}

/** Parses a path such as spec.env[0].name into its steps. */
function pathOf(field: string): (string | number)[] {
  return [...field.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([step, index]) => (index ? Number(index) : step))
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message
}

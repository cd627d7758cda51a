import { type Document, isNode, LineCounter, parseAllDocuments } from 'yaml'
import { CLUSTER_SCOPED } from '../port.ts'
import { checkObject } from './check.ts'
import type { FileContent, FileObject } from './plan.ts'
import { keyOf } from './record.ts'

/** Files of other programs lie beside ours: a text without any of these holds nothing of ours, whatever it is. */
const OURS = /shellcron\.dev\/|\bShell(?:CronJob|Run|Agent|Policy|Pool)\b/

interface Header {
  apiVersion?: unknown
  kind?: unknown
  spec?: unknown
}

/** The objects of a YAML file, judged as strictly as at `kubectl apply`. Other kinds of objects are left alone. */
export function parseDocuments(file: string, text: string): FileContent {
  const lines = new LineCounter()
  const content: FileContent = { objects: [], problems: [] }
  if (!OURS.test(text)) return content
  const documents = parseAllDocuments(text, { lineCounter: lines, merge: true, prettyErrors: false })
  if (!Array.isArray(documents)) return content
  for (const document of documents) {
    for (const error of document.errors) {
      const { line } = lines.linePos(error.pos[0])
      content.problems.push({ file, line, message: `is not YAML: ${firstLine(error.message)}` })
    }
  }
  // After a syntax error nobody knows what the rest was meant to be.
  if (content.problems.length > 0) return content
  for (const document of documents) take(document, { file, lines, content })
  return content
}

interface Place {
  file: string
  lines: LineCounter
  content: FileContent
}

function take(document: Document, { file, lines, content }: Place): void {
  const value = valueOf(document)
  if (value === null || typeof value !== 'object' || !isOurs(value)) return
  const lineOf = (path: readonly (string | number)[]): number => {
    for (let depth = path.length; depth >= 0; depth--) {
      const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true)
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
    }
    return 1
  }
  const { issues, object } = checkObject(value)
  for (const { path, field, message } of issues) {
    content.problems.push({ file, line: lineOf(path), ...(field ? { field } : {}), message })
  }
  if (object) content.objects.push(toFileObject(object, file, lineOf([])))
}

/** The plain value; resolving aliases may fail only now. */
function valueOf(document: Document): unknown {
  return document.toJS()
}

/** Of another API group, or another program's: not ours to judge. What looks like an object but lacks its head is. */
function isOurs({ apiVersion, kind, spec }: Header): boolean {
  if (String(apiVersion).startsWith('shellcron.dev/') || String(kind).startsWith('Shell')) return true
  return spec !== undefined && (apiVersion === undefined || kind === undefined)
}

export interface Manifest {
  kind: string
  metadata: {
    name: string
    namespace?: string | undefined
    labels?: Record<string, string> | undefined
    annotations?: Record<string, string> | undefined
  }
  spec?: unknown
}

function toFileObject({ kind, metadata, spec }: Manifest, file: string, line: number): FileObject {
  const { name, labels = {}, annotations = {} } = metadata
  const namespace = CLUSTER_SCOPED.has(kind) ? '' : (metadata.namespace ?? 'default')
  return { key: keyOf({ kind, namespace, name }), file, line, labels, annotations, spec: spec ?? {} }
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message
}

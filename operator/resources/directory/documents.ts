import { createHash } from 'node:crypto'
import { isForeign, parseDocuments, type TextObject } from '../../../core/schema/documents.ts'
import { CLUSTER_SCOPED } from '../port.ts'
import { canonical } from './canonical.ts'
import type { FileContent, FileObject } from './plan.ts'
import { keyOf } from './record.ts'

/** The line that begins a document. YAML allows it nowhere else, not even in a block or in quotes. */
const BEGIN = /^---(?=\s|$)/m
/** A directive or the end of a document: such a text is not divided. */
const OTHER_MARKS = /^(%|\.\.\.(\s|$))/m

/** Parses the objects of a YAML file. Documents that are as they were in `before`, the file's earlier content, are not parsed again. */
export function readFileText(file: string, text: string, before?: FileContent): FileContent {
  if (isForeign(text)) return { objects: [], problems: [] }
  return (OTHER_MARKS.test(text) ? undefined : readByDocument(file, text, before)) ?? readWhole(file, text)
}

function readWhole(file: string, text: string): FileContent {
  const { objects, problems } = parseDocuments(text)
  return {
    objects: objects.map(object => toFileObject(file, object)),
    problems: problems.map(problem => ({ file, ...problem })),
  }
}

/** undefined: a document has a problem. Which objects count then depends on the whole text. */
function readByDocument(file: string, text: string, before?: FileContent): FileContent | undefined {
  const known = new Map(before?.objects.flatMap(object => (object.digest ? [[object.digest, object]] : [])))
  const content: FileContent = { objects: [], problems: [] }
  let line = 1
  for (const document of documentsIn(text)) {
    const digest = createHash('sha256').update(document).digest('base64url')
    const found = known.get(digest) ?? parseOne(file, document, digest)
    if (found === 'problem') return undefined
    if (found) content.objects.push(at(found, line))
    line += document.split('\n').length - 1
  }
  return content
}

/** The parts of the text, each with the line that begins it. */
function documentsIn(text: string): string[] {
  return text.split(new RegExp(`(?=${BEGIN.source})`, 'm'))
}

/** undefined: the document holds no object of ours. Its lines are counted from 1. */
function parseOne(file: string, document: string, digest: string): FileObject | 'problem' | undefined {
  const { objects, problems } = parseDocuments(document, { isPart: true })
  const [object] = objects
  if (problems.length > 0 || objects.length > 1) return 'problem'
  return object && { ...toFileObject(file, object), digest, lineInDocument: object.line }
}

function at(object: FileObject, firstLine: number): FileObject {
  const line = firstLine + (object.lineInDocument ?? 1) - 1
  return line === object.line ? object : { ...object, line }
}

function toFileObject(file: string, { object: { kind, metadata }, spec, line }: TextObject): FileObject {
  const { name, labels = {}, annotations = {} } = metadata
  const namespace = CLUSTER_SCOPED.has(kind) ? '' : (metadata.namespace ?? 'default')
  return { key: keyOf({ kind, namespace, name }), file, line, labels, annotations, spec: canonical(spec) }
}

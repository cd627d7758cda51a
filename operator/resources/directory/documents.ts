import { parseDocuments, type TextObject } from '../../../core/schema/documents.ts'
import { CLUSTER_SCOPED } from '../port.ts'
import { canonical } from './canonical.ts'
import type { FileContent, FileObject } from './plan.ts'
import { keyOf } from './record.ts'

/** Parses the objects of a YAML file. */
export function readFileText(file: string, text: string): FileContent {
  const { objects, problems } = parseDocuments(text)
  return {
    objects: objects.map(object => toFileObject(file, object)),
    problems: problems.map(problem => ({ file, ...problem })),
  }
}

function toFileObject(file: string, { object: { kind, metadata }, spec, line }: TextObject): FileObject {
  const { name, labels = {}, annotations = {} } = metadata
  const namespace = CLUSTER_SCOPED.has(kind) ? '' : (metadata.namespace ?? 'default')
  return { key: keyOf({ kind, namespace, name }), file, line, labels, annotations, spec: canonical(spec) }
}

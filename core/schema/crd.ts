import { type CelRule, celRules } from './cel-rule.ts'
import { DEFINITIONS } from './definitions.ts'
import { GROUP, type Kind, VERSION } from './objects.ts'
import { type Json, structural } from './structural-schema.ts'

/** The CustomResourceDefinition of a kind, generated from its schemas, with the rules in CEL. Equal schemas give equal definitions. */
export function crdOf(kind: Kind): Json {
  const { plural, singular, shortNames, scope, columns } = DEFINITIONS[kind]
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope,
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: ['shellcron'] },
      conversion: { strategy: 'None' },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns as unknown as Json[],
          schema: { openAPIV3Schema: objectSchema(kind) },
        },
      ],
    },
  }
}

function objectSchema(kind: Kind): Json {
  const { description, specDescription, spec, status, object } = DEFINITIONS[kind]
  const rules: CelRule[] = object ? celRules(object) : []
  return {
    type: 'object',
    description,
    required: ['spec'],
    ...(rules.length > 0 ? { 'x-kubernetes-validations': rules as unknown as Json[] } : {}),
    properties: {
      apiVersion: { type: 'string', description: `Group and version of the kind: ${GROUP}/${VERSION}.` },
      kind: { type: 'string', description: `The kind of object: ${kind}.` },
      // The name is declared so that rules can refer to it.
      metadata: { type: 'object', properties: { name: { type: 'string' } } },
      spec: { ...structural(spec), description: specDescription },
      status: {
        ...structural(status),
        description: 'The state of the object as ShellCron reports it. Only ShellCron writes it.',
        // kstatus treats an object without a status as ready, before any controller has seen it.
        default: { observedGeneration: -1 },
      },
    },
  }
}

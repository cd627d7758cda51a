import { type CelRule, celRules } from './cel-rule.ts'
import { DEFINITIONS } from './definitions.ts'
import { GROUP, type Kind, VERSION } from './objects.ts'
import { type Json, structural } from './structural-schema.ts'

/** The CustomResourceDefinition of a kind, made from its schemas; the rules in CEL. Equal schemas make equal definitions. */
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
      // The name, so that rules may point at it.
      metadata: { type: 'object', properties: { name: { type: 'string' } } },
      spec: { ...structural(spec), description: specDescription },
      status: {
        ...structural(status),
        description: 'What ShellCron says of it. Only ShellCron writes it.',
        // Without it kstatus takes an object that nobody has looked at for ready.
        default: { observedGeneration: -1 },
      },
    },
  }
}

import * as z from 'zod'
import { labelKey, labelValue } from './values.ts'

const LABEL = 'must be lower-case letters, digits and dashes, and begin and end with a letter or digit'
const SUBDOMAIN =
  'must be lower-case letters, digits, dashes and dots, and begin and end with a letter or digit'

/** A name of an object: DNS labels, separated by dots. */
export const subdomainName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, SUBDOMAIN)

/** The metadata that people write. An API server adds more fields, which are accepted. */
export const metadata = z.looseObject({
  name: subdomainName,
  namespace: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, LABEL)
    .optional(),
  labels: z.record(labelKey, labelValue).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  uid: z.string().optional(),
  generation: z.number().optional(),
  resourceVersion: z.string().optional(),
  creationTimestamp: z.union([z.string(), z.date()]).nullish(),
  deletionTimestamp: z.union([z.string(), z.date()]).nullish(),
  finalizers: z.array(z.string()).optional(),
})
export type Metadata = z.infer<typeof metadata>

/** A run's id contains the name: without dots in it, `<namespace>.<name>.<time>[.<target>]` is unambiguous. */
export const nameWithoutDots = (most: number) => ({
  cel: `self.metadata.name.size() <= ${most} && !self.metadata.name.contains('.')`,
  message: `metadata.name must have at most ${most} characters and no dots; choose another name`,
  path: ['metadata', 'name'],
  holds: (object: { metadata: Metadata }) =>
    object.metadata.name.length <= most && !object.metadata.name.includes('.'),
})

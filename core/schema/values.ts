import { z } from 'zod'

/** Kinds of values that several objects share. Every string and list has a maximum: CEL's cost is estimated by them. */

export const SECONDS_MAX = 31_536_000

/** Whole seconds up to a year. */
export const seconds = (minimum = 0) => z.int().min(minimum).max(SECONDS_MAX)

/** A Kubernetes quantity: a number, or text as `500m`, `256Mi`. */
export const quantity = z
  .union([
    z.int().min(0),
    z
      .string()
      .max(32)
      .regex(/^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/),
  ])
  .meta({ 'x-kubernetes-int-or-string': true })

/** The name of an object in the same namespace, or of a pool, an agent. */
export const objectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
export const poolName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
export const dataKey = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[-._a-zA-Z0-9]+$/)
export const variableName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
export const parameterName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)

export const labels = z.record(z.string().max(317), z.string().max(63)).meta({ maxProperties: 64 })

/** As Kubernetes' LabelSelector. */
export const labelSelector = z
  .strictObject({
    matchLabels: labels.optional().describe('Labels and the values that they must have.'),
    matchExpressions: z
      .array(
        z.strictObject({
          key: z.string().min(1).max(317).describe('The label.'),
          operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How its value is judged.'),
          values: z.array(z.string().max(63)).max(64).optional().describe('For In and NotIn.'),
        }),
      )
      .max(16)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('Requirements that must all hold.'),
  })
  .meta({ 'x-kubernetes-map-type': 'atomic' })

/** Bytes of a quantity; a bare number counts bytes. */
export function bytesOf(value: string | number): number {
  return Math.round(quantityOf(value))
}

/** Thousandths of a CPU. */
export function millisOf(value: string | number): number {
  return Math.round(quantityOf(value) * 1_000)
}

const UNITS: Record<string, number> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}

function quantityOf(value: string | number): number {
  const [, number = '0', unit = ''] = /^([0-9.]+)([a-zA-Z]*)$/.exec(String(value)) ?? []
  return Number(number) * (UNITS[unit] ?? 1)
}

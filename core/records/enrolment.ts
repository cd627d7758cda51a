import * as z from 'zod'

/** What agents and the operator tell each other at enrolment and at renewal, as JSON. */

/** `POST /v1/enrol`. `token`: of `join-command`, or the projected ServiceAccount token of a node's agent. */
export const enrolRequestSchema = z.object({
  token: z.string().min(1).max(16_384),
  csr: z.string().max(16_384),
})

/** `POST /v1/renew`, with the agent's certificate. */
export const renewRequestSchema = z.object({ csr: z.string().max(16_384) })

/** Everything of an identity except the private key, which never leaves its machine. All keys and certificates are PEM. */
export const enrolmentSchema = z.object({
  certificate: z.string(),
  /** The authority of etcd, the operator and agents. */
  ca: z.string(),
  /** The operator's Ed25519 public key. */
  operatorKey: z.string(),
  /** The pool's X25519 private keys. The first is in use. */
  poolKey: z.string(),
  pool: z.string(),
  agent: z.string(),
  /** URLs of etcd's members, and of the operator, as this agent reaches them. Empty: as before. */
  etcd: z.array(z.string()).default([]),
  operator: z.string().default(''),
  /** How long the certificate is valid, h. */
  hours: z.number(),
})
export type EnrolmentAnswer = z.infer<typeof enrolmentSchema>

import * as z from 'zod'

/** The enrolment of an agent that is valid now. Certificates of every other enrolment of this agent are refused. */
export const identitySchema = z.object({
  /** As in the certificate's name: see agent-user.ts. */
  id: z.string(),
  /** The ShellAgent's. An object that is deleted and created again does not bring the old identity back. */
  uid: z.string(),
  /** Unix ms. */
  enrolledAt: z.number().default(0),
})
export type IdentityRecord = z.infer<typeof identitySchema>

/** Lets one agent enrol once. */
export const tokenSchema = z.object({ agent: z.string(), uid: z.string(), pool: z.string() })
export type TokenRecord = z.infer<typeof tokenSchema>

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type EnrolmentAnswer, enrolmentSchema } from '../../core/records/enrolment.ts'
import { IDENTITY_FILES } from '../../core/records/identity-files.ts'
import { createCsr } from '../../platform/certificates.ts'
import { askOperator, type OperatorAddress } from './ask-operator.ts'

/** Enrols this machine with a token, and fills its identity directory. The private key is made here, and never leaves the machine. */
export async function enrol(
  of: { operator: OperatorAddress; token: string; dir: string },
  signal?: AbortSignal,
): Promise<EnrolmentAnswer> {
  const { csr, key } = await createCsr('agent')
  const body = { token: of.token, csr }
  const answer = enrolmentSchema.parse(await askOperator(of.operator, '/v1/enrol', body, signal))
  await writeIdentity(of.dir, answer, key)
  return answer
}

/**
 * Renews the certificate of an identity directory, and fetches the pool's present keys. The private key stays, so that a crash between two
 * files leaves no key without its certificate.
 */
export async function renew(
  of: { url: string; dir: string },
  signal?: AbortSignal,
): Promise<EnrolmentAnswer> {
  const read = (name: string) => readFile(join(of.dir, name), 'utf8')
  const [ca, cert, key] = [
    await read(IDENTITY_FILES.ca),
    await read(IDENTITY_FILES.cert),
    await read(IDENTITY_FILES.key),
  ]
  const { csr } = await createCsr('agent', key)
  const operator = { url: of.url, ca, client: { cert, key } }
  const answer = enrolmentSchema.parse(await askOperator(operator, '/v1/renew', { csr }, signal))
  await writeIdentity(of.dir, answer, key)
  return answer
}

/** Files of mode 0600 in a directory of mode 0700. Each appears whole or not at all. */
async function writeIdentity(dir: string, answer: EnrolmentAnswer, key: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const files = {
    [IDENTITY_FILES.key]: key,
    [IDENTITY_FILES.ca]: answer.ca,
    [IDENTITY_FILES.operatorKey]: answer.operatorKey,
    [IDENTITY_FILES.poolKey]: answer.poolKey,
    [IDENTITY_FILES.cert]: answer.certificate,
  }
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name)
    await writeFile(`${path}.new`, text, { mode: 0o600, flush: true })
    await rename(`${path}.new`, path)
  }
}

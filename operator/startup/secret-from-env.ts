import { InvalidInput } from '../../core/errors.ts'
import type { GivenSecrets } from '../resources/directory/secrets.ts'

/** `--secret-from-env NAMESPACE/NAME/KEY=VARIABLE` names the variable, so that its value is not in the command line. */

const FLAG = '--secret-from-env'
const FORM = /^([a-z0-9-]{1,63})\/([a-z0-9.-]{1,253})\/([A-Za-z0-9._-]{1,253})=([A-Za-z_][A-Za-z0-9_]*)$/

/** The variables that these settings name. */
export function variablesOf(settings: readonly string[]): string[] {
  return settings.map(setting => parsed(setting).variable)
}

/** Throws InvalidInput if a setting is malformed, gives a key twice, or names a variable that is not set. */
export function secretsFromEnv(
  settings: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): GivenSecrets {
  const given = new Map<string, Record<string, string>>()
  for (const setting of settings) {
    const { secret, key, variable } = parsed(setting)
    const value = env[variable]
    if (value === undefined)
      throw new InvalidInput(
        FLAG,
        `${setting}: the environment has no ${variable}; set it, or remove this flag`,
      )
    const data = given.get(secret) ?? {}
    if (Object.hasOwn(data, key))
      throw new InvalidInput(FLAG, `${secret}/${key} is given twice; remove one of them`)
    given.set(secret, Object.assign(data, { [key]: value }))
  }
  return given
}

function parsed(setting: string): { secret: string; key: string; variable: string } {
  const [, namespace = '', name = '', key = '', variable = ''] = FORM.exec(setting) ?? []
  if (variable === '') throw new InvalidInput(FLAG, `"${setting}" is not NAMESPACE/NAME/KEY=VARIABLE`)
  return { secret: `${namespace}/${name}`, key, variable }
}

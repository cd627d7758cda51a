import type { End } from './outcome.ts'

/**
 * An attempt in the hands of its owner, from the moment it is told to a launcher. Transitions are total, `ended` is final.
 *
 *              edited, withdrawn
 *      armed ─────────────────────▶ cancelling ──ended as cancelled──▶ ended, or armed anew under the new template
 *        │                              │ started all the same
 *        └──────── started ─────▶ running ◀┘
 *        └─ ended ─▶ ended ◀─ ended ─┘
 */
export type RunState =
  | { phase: 'armed' }
  /** `why` undefined: the template changed, and the new one is to be armed. */
  | { phase: 'cancelling'; why: 'Suspended' | 'Deleted' | undefined }
  | { phase: 'running' }
  | { phase: 'ended' }

export type RunEvent =
  | { type: 'started' }
  | { type: 'ended'; end: End }
  /** The launcher does not take it: it never started. */
  | { type: 'refused'; reason: string }
  /** Its template has another generation. */
  | { type: 'edited' }
  | { type: 'withdrawn'; why: 'Suspended' | 'Deleted' }
  | { type: 'kill'; reason: string }

/** What the owner is to do. */
export type RunOrder =
  | { do: 'nothing' }
  | { do: 'cancel' }
  | { do: 'kill'; reason: string }
  | { do: 'rearm' }
  | { do: 'conclude'; end: End }

export interface RunStep {
  state: RunState
  order: RunOrder
}

const NOTHING: RunOrder = { do: 'nothing' }

export function stepRun(state: RunState, event: RunEvent): RunStep {
  if (state.phase === 'ended') return { state, order: NOTHING }
  switch (event.type) {
    case 'started':
      return { state: { phase: 'running' }, order: NOTHING }
    case 'ended':
      return ended(state, event.end)
    case 'refused':
      return {
        state: { phase: 'ended' },
        order: { do: 'conclude', end: { kind: 'lost', reason: event.reason } },
      }
    case 'edited':
      return withdrawn(state, undefined)
    case 'withdrawn':
      return withdrawn(state, event.why)
    case 'kill':
      return { state, order: { do: 'kill', reason: event.reason } }
    default:
      return event satisfies never
  }
}

/** A cancel that came in time is what was asked for; any other end is told as it is. */
function ended(state: RunState, end: End): RunStep {
  if (end.kind !== 'cancelled' || state.phase !== 'cancelling') {
    return { state: { phase: 'ended' }, order: { do: 'conclude', end } }
  }
  if (state.why === undefined) return { state: { phase: 'armed' }, order: { do: 'rearm' } }
  return { state: { phase: 'ended' }, order: { do: 'conclude', end: { ...end, reason: state.why } } }
}

/** What runs goes on with the template that it started with. The later of two reasons counts. */
function withdrawn(state: RunState, why: 'Suspended' | 'Deleted' | undefined): RunStep {
  if (state.phase === 'running') return { state, order: NOTHING }
  return { state: { phase: 'cancelling', why }, order: { do: 'cancel' } }
}

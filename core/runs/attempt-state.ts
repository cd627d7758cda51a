import type { End } from './outcome.ts'

/**
 * The state of an attempt at its owner, from the moment its launcher knows it. Transitions are total; `ended` is final.
 *
 *              edited, withdrawn
 *      armed ─────────────────────▶ cancelling ──ended as cancelled──▶ ended, or armed again with the new template
 *        │                              │ started before the cancel
 *        └──────── started ─────▶ running ◀┘
 *        └─ ended ─▶ ended ◀─ ended ─┘
 */
export type RunState =
  | { phase: 'armed' }
  /** `why` undefined: the template changed, and the attempt is armed again with the new one. */
  | { phase: 'cancelling'; why: string | undefined }
  | { phase: 'running' }
  | { phase: 'ended' }

export type RunEvent =
  | { type: 'started' }
  | { type: 'ended'; end: End }
  /** The launcher refused it, so it never started. */
  | { type: 'refused'; reason: string }
  /** Its template has a new generation. */
  | { type: 'edited' }
  /** Its job was suspended, edited or deleted; `why` is the reason of its end (core/fires/withdrawn.ts). */
  | { type: 'withdrawn'; why: string }
  | { type: 'kill'; reason: string }

/** What the owner must do. */
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

/** An end as cancelled is what the owner asked for. Any other end is recorded as it is. */
function ended(state: RunState, end: End): RunStep {
  if (end.kind !== 'cancelled' || state.phase !== 'cancelling') {
    return { state: { phase: 'ended' }, order: { do: 'conclude', end } }
  }
  if (state.why === undefined) return { state: { phase: 'armed' }, order: { do: 'rearm' } }
  return { state: { phase: 'ended' }, order: { do: 'conclude', end: { ...end, reason: state.why } } }
}

/** A started attempt keeps the template with which it started. Of two reasons the later one counts. */
function withdrawn(state: RunState, why: string | undefined): RunStep {
  if (state.phase === 'running') return { state, order: NOTHING }
  return { state: { phase: 'cancelling', why }, order: { do: 'cancel' } }
}

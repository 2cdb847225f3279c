import type { SpikeReading } from './reading.js';

/** What a training does after a step. */
export type SpikeDecision =
  | { readonly do: 'go-on' }
  | {
      readonly do: 'restore';
      /** Go back to the last snapshot that was taken before this step, optimizer and detector state included. */
      readonly before: number;
      /** Leave out the windows of the steps from `before` to this one, both included: they are not tried again. */
      readonly skipTo: number;
      /** What the learning rate of the settings is multiplied by from now on. */
      readonly rateFactor: number;
      readonly strikes: number;
      readonly reason: string;
    }
  | { readonly do: 'stop'; readonly strikes: number; readonly reason: string };

/** What the policy remembers; plain JSON. Unlike the detector's state it does not go back when weights do. */
export interface SpikePolicyState {
  readonly strikes: number;
  readonly rateFactor: number;
}

export interface SpikePolicySettings {
  /** So many spikes end the training. */
  readonly strikes: number;
  /** What each multiplies the rate by. */
  readonly rateFactor: number;
}

/** Restore the last good state, skip the window, halve the rate; the third time stop (ALGORITHMS §3.11). */
export const SPIKE_POLICY: SpikePolicySettings = { strikes: 3, rateFactor: 0.5 };

/** A reducer: what happened so far and one more reading give what is to be done. Pure. */
export interface SpikePolicy {
  begin(): SpikePolicyState;
  decide(
    state: SpikePolicyState,
    reading: SpikeReading,
  ): { readonly state: SpikePolicyState; readonly decision: SpikeDecision };
}

/** The policy with these settings. */
export function spikePolicy({ strikes: most, rateFactor: factor }: SpikePolicySettings = SPIKE_POLICY): SpikePolicy {
  return {
    begin: () => ({ strikes: 0, rateFactor: 1 }),
    decide(state, { action, step, since = step, reason }) {
      if (action === 'go-on') return { state, decision: { do: 'go-on' } };
      const next = { strikes: state.strikes + 1, rateFactor: state.rateFactor * factor };
      if (next.strikes >= most) return { state: next, decision: { do: 'stop', strikes: next.strikes, reason } };
      return { state: next, decision: { do: 'restore', before: since, skipTo: step, ...next, reason } };
    },
  };
}

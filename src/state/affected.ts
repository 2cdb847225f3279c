import type { History } from './history.js';
import { stateAfter, type WaveState, waveOf, wavesIn } from './wave-state.js';

/** What a wave did to one tensor, or, without one, to all that it changed. */
export interface WaveChange {
  readonly wave: number;
  readonly tensor?: string;
}

/** The names of the states that a change is part of: numbers of kept waves, `current`, tags; what `rollback --to` takes. */
export function statesWith({ wave, tensor }: WaveChange, past: History): string[] {
  const needs = ({ state }: { readonly state: WaveState }) =>
    wavesIn(state, past.waves).has(wave) && (tensor === undefined || waveOf(state)(tensor) >= wave);
  return namedStates(past)
    .filter(needs)
    .map(({ name }) => name);
}

function namedStates(past: History): { readonly name: string; readonly state: WaveState }[] {
  const kept = past.waves.filter(({ verdict }) => verdict === 'committed');
  return [
    ...kept.map(({ wave }) => ({ name: String(wave), state: stateAfter(wave) })),
    { name: 'current', state: past.state },
    ...past.tags,
  ];
}

import type { Comparison, Figures } from '../evaluation/index.js';

/** Figures as flat numbers, as journal, events and manifest hold them; intervals as `…Low` and `…High`. */
export type FlatFigures = Readonly<Record<string, number>>;

export function flatFigures(measured: { readonly figures: Figures; readonly comparison?: Comparison }): FlatFigures {
  return { ...flatten(measured.figures), ...(measured.comparison && flatten(measured.comparison)) };
}

function flatten(value: object): Record<string, number> {
  const flat: Record<string, number> = {};
  for (const [key, field] of Object.entries(value)) {
    if (typeof field === 'number') flat[key] = field;
  }
  const intervals = (value as { intervals?: Record<string, readonly [number, number]> }).intervals ?? {};
  for (const [key, [low, high]] of Object.entries(intervals)) {
    flat[`${key}Low`] = low;
    flat[`${key}High`] = high;
  }
  return flat;
}

import type { GptqRun, KvScales, LayoutExtras } from '../layouts/index.js';
import type { History, WaveJournalRecord } from '../state/index.js';

/** The scales of a cache of FP8 that a wave has found, as a layer carries them; nothing where it has none. */
export function cacheScales(details: WaveJournalRecord['details']): {
  readonly cacheScales?: ReadonlyMap<number, KvScales>;
} {
  const rows = (details?.['kvScales'] ?? []) as readonly (KvScales & { readonly block: number })[];
  return rows.length === 0 ? {} : { cacheScales: new Map(rows.map(({ block, k, v }) => [block, { k, v }])) };
}

/**
 * What the active waves found beside the weights and an engine's layout has a place for: rows `kvScales` {block, k, v}, `inputScales`
 * {weight, scale} and `gptq` among the details of their records.
 */
export function layoutExtras({ waves }: Pick<History, 'waves'>): LayoutExtras {
  const rows = (kind: string) => waves.flatMap(({ active, details }) => (active ? (details?.[kind] ?? []) : []));
  const kvScales = rows('kvScales') as readonly (KvScales & { readonly block: number })[];
  const inputScales = rows('inputScales') as readonly { readonly weight: string; readonly scale: number }[];
  const gptq = rows('gptq').at(-1) as GptqRun | undefined;
  return {
    ...(kvScales.length > 0 && { kvScales: new Map(kvScales.map(({ block, k, v }) => [block, { k, v }])) }),
    ...(inputScales.length > 0 && { inputScales: new Map(inputScales.map(({ weight, scale }) => [weight, scale])) }),
    ...(gptq && { gptq }),
  };
}

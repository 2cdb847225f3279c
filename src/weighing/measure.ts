import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import { type BlockEvidence, collectEvidence } from '../evidence/index.js';
import type { ImatrixEntry } from '../imatrix/index.js';
import { DEFAULT_MEMORY_BYTES, disposeBlock, type LinearSpec, loadBlock, type Model } from '../model/index.js';
import { calibrationStates } from '../pruning/index.js';
import type { Device } from '../tensor/index.js';

export interface MeasureOptions {
  readonly device: Device;
  /** For hidden states, before they go to disk. */
  readonly memoryBytes?: number | undefined;
  readonly report?: Report | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Σ x² of each input of one stored matrix, and the tokens that were counted. */
interface StoredSums {
  readonly sums: Float32Array;
  readonly tokens: number;
}

/**
 * Returns, for the matrices in a model's blocks, Σ x² of each input over these passages, under the names that `nameOf` gives: matrices
 * of one name are experts, in their order, and become one entry. Runs the model once, with one block's weights resident.
 */
export async function measureImportance(
  model: Model,
  passages: readonly { readonly ids: Int32Array }[],
  nameOf: (linear: LinearSpec) => string | undefined,
  options: MeasureOptions,
): Promise<Map<string, ImatrixEntry>> {
  const { device, memoryBytes = DEFAULT_MEMORY_BYTES, report = silent, signal } = options;
  const spillFolder = await mkdtemp(path.join(tmpdir(), 'birdbone-imatrix-'));
  const found = new Map<string, StoredSums[]>();
  try {
    const states = await calibrationStates({ model, device, calibration: passages, memoryBytes, spillFolder });
    try {
      const total = model.decoder.blocks.length;
      for (let index = 0; index < total; index += 1) {
        stopIfAborted(signal);
        const block = await loadBlock(model, index, device);
        try {
          const collecting = { device, store: true, ...(signal && { signal }) };
          const evidence = await collectEvidence(block, states, new Set(['norms']), collecting);
          await addSums(found, evidence, block.spec.linears, nameOf);
          evidence.dispose();
        } finally {
          disposeBlock(block);
        }
        report({ type: 'progress', stage: 'imatrix', done: index + 1, total, unit: 'blocks' });
      }
    } finally {
      await states.close();
    }
  } finally {
    await rm(spillFolder, { recursive: true, force: true });
  }
  return new Map([...found].map(([name, parts]) => [name, entryOf(parts)]));
}

async function addSums(
  found: Map<string, StoredSums[]>,
  evidence: BlockEvidence,
  linears: readonly LinearSpec[],
  nameOf: (linear: LinearSpec) => string | undefined,
): Promise<void> {
  for (const linear of linears) {
    const name = nameOf(linear);
    if (name === undefined) continue;
    const norms = (await evidence.normsOf(linear.input).data()) as Float32Array;
    const part = { sums: norms.map((norm) => norm * norm), tokens: evidence.tokensOf(linear.input) };
    found.set(name, [...(found.get(name) ?? []), part]);
  }
}

function entryOf(parts: readonly StoredSums[]): ImatrixEntry {
  const columns = parts[0]!.sums.length;
  const sums = new Float32Array(columns * parts.length);
  for (const [matrix, part] of parts.entries()) sums.set(part.sums, matrix * columns);
  return { columns, sums, counts: Float32Array.from(parts, ({ tokens }) => tokens) };
}

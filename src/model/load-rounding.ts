import type { Tensor1D } from '@tensorflow/tfjs-core';
import { type Checkpoint, readFloats } from '../checkpoint/index.js';
import type { CodedView, CodingRecord } from '../coding/index.js';
import type { Device } from '../tensor/index.js';
import type { LinearSpec } from './decoder.js';
import type { LoadedRounding } from './loaded-block.js';

/**
 * How the inputs of a linear are rounded, as its weight's coding says; undefined where they are not.
 */
export async function loadRounding(
  checkpoint: Checkpoint | CodedView,
  { weight, rows }: LinearSpec,
  device: Device,
): Promise<LoadedRounding | undefined> {
  const record = recordOf(checkpoint, weight);
  const to = record?.['activations'];
  if (to !== 'int8' && to !== 'fp8') return undefined;
  if (to === 'fp8' || !isExact(record!)) return { to };
  const stored = await readFloats((checkpoint as CodedView).raw, `${storedName(checkpoint, weight)}_scale`);
  const scales = stored.length === rows ? stored : new Float32Array(rows).fill(stored[0]!);
  return { to, scales: device.upload(scales, [rows]) as Tensor1D };
}

/** Whether the weight is one whole number times one scale for each row, which kernels of integers take; a correction is none. */
function isExact(record: CodingRecord): boolean {
  const hasRowScales = record['strategy'] === 'channel' || record['strategy'] === 'tensor';
  return record.kind === 'integer' && record['symmetric'] === true && hasRowScales && record.correction === undefined;
}

function recordOf(checkpoint: Checkpoint | CodedView, weight: string): CodingRecord | undefined {
  return 'coded' in checkpoint ? checkpoint.coded.get(storedName(checkpoint, weight)) : undefined;
}

function storedName({ aliases }: Checkpoint, name: string): string {
  return aliases.get(name) ?? name;
}

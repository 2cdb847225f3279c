import { tmpdir } from 'node:os';
import { type MemoryValues, memoryLayer, overlay, type TensorInfo } from '../../src/checkpoint/index.js';
import { type Report, silent } from '../../src/events.js';
import { type Model, withCheckpoint } from '../../src/model/index.js';
import { Marks } from '../../src/plates/index.js';
import { type Edit, type ProposalDetails, pruneEdit, type ThresholdSettings } from '../../src/pruning/index.js';
import type { Device } from '../../src/tensor/index.js';
import { METHODS, type Method } from './pruning.js';

/** What an edit is given. */
export interface ProposalOptions {
  /** Of whatever is drawn by chance; 0 unless given. */
  readonly seed?: number;
  /** What the model was before earlier waves; the model itself unless given. */
  readonly dense?: Model;
  /** What earlier waves have said of themselves. */
  readonly earlier?: readonly ProposalDetails[];
  readonly calibration: readonly { readonly ids: Int32Array }[];
  readonly device: Device;
  readonly report?: Report;
}

export interface OurSettings extends ProposalOptions {
  readonly method: Method;
  /** As the reference writes it: "50%" or "2:4". */
  readonly pattern: string;
  /** How the sparsity is divided; the same everywhere unless given. */
  readonly thresholds?: string;
  readonly clusterThresholds?: ThresholdSettings;
}

/** Prunes by the product's own edit, in one wave: the model as it then is, and the bits of what is kept by tensor name. */
export async function pruneOurs(
  model: Model,
  { method, pattern, thresholds, clusterThresholds, ...options }: OurSettings,
): Promise<Proposed> {
  const percent = /^(\d+)%$/.exec(pattern);
  const { metric = 'wanda', solver } = METHODS[method];
  const how = percent === null ? { pattern } : { pattern: 'unstructured', sparsity: Number(percent[1]) / 100 };
  return proposeOnce(model, await pruneEdit({ metric, solver, thresholds, clusterThresholds, ...how }), options);
}

/** What one wave of an edit makes of a model. */
export interface Proposed {
  readonly model: Model;
  readonly masks: Map<string, Uint8Array>;
  readonly details: ProposalDetails | undefined;
}

/** One wave of an edit to its target: the model as it then is, at its full shape, and the bits of what is kept by tensor name. */
export async function proposeOnce(
  model: Model,
  edit: Edit,
  { seed = 0, dense = model, earlier = [], calibration, device, report }: ProposalOptions,
): Promise<Proposed> {
  const masks = new Map<string, Uint8Array>();
  const values = new Map<string, MemoryValues>();
  const infos = new Map(edit.plan(model).values.map((info) => [info.name, info]));
  const writer = {
    writeMask: async (name: string, bits: Uint8Array) => void masks.set(name, bits),
    writeValues: async (name: string, offset: number, bytes: Uint8Array) => {
      const info = infos.get(name)!;
      const known = values.get(name) ?? { info, bytes: new Uint8Array(info.byteLength) };
      known.bytes.set(bytes, offset);
      values.set(name, known);
    },
  };
  const proposal = await edit.propose({
    model,
    dense,
    earlier,
    seed,
    device,
    target: edit.target,
    calibration: edit.needsCalibration ? calibration : [],
    marks: Marks.none,
    spared: Marks.none,
    writer,
    memoryBytes: 2 ** 30,
    spillFolder: tmpdir(),
    report: report ?? silent,
  });
  const layers = [memoryLayer(masks, values)];
  const kept = new Map([
    ...masks,
    ...[...values].map(([name, { info, bytes }]) => [name, keptBits(info, bytes)] as const),
  ]);
  return {
    model: withCheckpoint(model, overlay(model.checkpoint, layers)),
    masks: kept,
    details: proposal?.details,
  };
}

/** A bit for every element that is not zero, in the order of a mask's. */
function keptBits({ name, byteLength, shape }: TensorInfo, bytes: Uint8Array): Uint8Array {
  const elements = shape.reduce((product, extent) => product * extent, 1);
  const width = byteLength / elements;
  const bits = new Uint8Array(Math.ceil(elements / 8));
  if (!Number.isInteger(width)) throw new Error(`${name} is packed`);
  for (let i = 0; i < elements; i += 1) {
    const element = bytes.subarray(i * width, (i + 1) * width);
    const negativeZero = element.at(-1) === 0x80 && element.subarray(0, -1).every((byte) => byte === 0);
    if (!negativeZero && element.some((byte) => byte !== 0)) bits[i >>> 3]! |= 1 << (i & 7);
  }
  return bits;
}

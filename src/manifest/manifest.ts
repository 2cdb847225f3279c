import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import {
  GGUF_MANIFEST_KEY,
  ggufMetadata,
  memorySource,
  openCheckpoint,
  readJson,
  readJsonFile,
} from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { DTYPES, type Dtype } from '../tensor/index.js';
import type { WeightHashes } from './hash.js';

/** The manifest's name in a model's folder. */
export const MANIFEST_FILE = 'birdbone.json';

/** A manifest takes about 200 bytes per tensor: this is room for 300 000. */
const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in hex');
/** Measured figures by name. null stands for a figure that is not a finite number, which JSON cannot write. */
const figures = z.record(z.string(), z.number().nullable());
const file = z.strictObject({ name: z.string(), sha256 });

const tensor = z.strictObject({
  name: z.string(),
  dtype: z.enum(Object.keys(DTYPES) as [Dtype, ...Dtype[]]),
  shape: z.array(z.int().min(0)),
  sha256,
});

const measured = z.strictObject({
  protocol: z.string(),
  context: z.int(),
  data: file,
  calibration: file.optional(),
  /** The dense base, measured in the same run. */
  baseline: figures,
  result: figures,
  gate: z.strictObject({ limits: z.string(), pass: z.boolean(), reason: z.string() }),
});

const wave = z.strictObject({
  wave: z.int(),
  step: z.int(),
  target: z.number(),
  sparsity: z.number(),
  verdict: z.enum(['committed', 'rolled-back']),
  reason: z.string(),
  figures,
  /** Part of these weights; a wave that was rolled back, at once or later, is not. */
  active: z.boolean(),
  /** The growth plates that it shed, by kind and block: "0-4,17" are their indices. */
  plates: z.record(z.string(), z.unknown()).optional(),
  /** What the step has to say of its matrices, by what was done to them: how each is stored now, and with which error. */
  details: z.record(z.string(), z.array(z.record(z.string(), z.unknown()))).optional(),
});

/**
 * What birdbone.json says. Nothing in it depends on when, where or in how many attempts the work was done: no times, no
 * durations, no paths.
 */
export const manifestSchema = z.strictObject({
  manifest: z.literal(1),
  tool: z.strictObject({ name: z.literal('birdbone'), version: z.string() }),
  model: z.strictObject({ architecture: z.string().nullable(), parameters: z.int() }),
  weights: sha256,
  metadata: sha256,
  config: sha256.nullable(),
  /** The checkpoint that this one was made from; `manifest` is the digest of its birdbone.json, if it had one. */
  base: z.strictObject({ name: z.string(), weights: sha256, metadata: sha256, manifest: sha256.optional() }).optional(),
  recipe: z.record(z.string(), z.unknown()).optional(),
  seed: z.int().optional(),
  /** Versions of what computed the result (node, tfjs, onnxruntime …) and the device in words. */
  versions: z.record(z.string(), z.string()).optional(),
  measured: measured.optional(),
  waves: z.array(wave).optional(),
  /** After a partial rollback: the last wave of most tensors, and of those that stand at another. */
  mixed: z
    .strictObject({ rest: z.int(), tensors: z.array(z.strictObject({ name: z.string(), wave: z.int() })) })
    .optional(),
  tensors: z
    .array(tensor)
    .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'must name each tensor once'),
});

/** A checked birdbone.json. */
export type Manifest = z.output<typeof manifestSchema>;

/** What a manifest is made from: the hashes of the checkpoint it describes, and how that came to be. */
export type ManifestInput = Omit<
  Manifest,
  'manifest' | 'tool' | 'model' | 'weights' | 'metadata' | 'config' | 'tensors'
> & {
  readonly hashes: WeightHashes;
  /** Of birdbone. */
  readonly version: string;
  readonly architecture?: string;
};

/**
 * The manifest of a checkpoint. The base's and the files' names and the recipe's `model` and `file` fields keep their last path
 * component only, and the recipe's `out` is dropped: where things lie is not part of what they are. Figures that are not
 * finite become null.
 */
export function createManifest(input: ManifestInput): Manifest {
  const { hashes, version, architecture, base, recipe, measured, waves, ...rest } = input;
  const tensors = [...hashes.tensors].map(([name, { dtype, shape, sha256 }]) => ({
    name,
    dtype,
    shape: [...shape],
    sha256,
  }));
  const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const manifest: Manifest = {
    manifest: 1,
    tool: { name: 'birdbone', version },
    model: { architecture: architecture ?? null, parameters },
    weights: hashes.weights,
    metadata: hashes.metadata,
    config: hashes.config,
    ...(base && { base: { ...base, name: path.basename(base.name) } }),
    ...(recipe && { recipe: withoutPlaces(recipe) as Manifest['recipe'] }),
    ...rest,
    ...(measured && { measured: portable(measured) }),
    ...(waves && { waves: waves.map((record) => ({ ...record, figures: finite(record.figures) })) }),
    tensors,
  };
  return parseManifest(manifest, MANIFEST_FILE);
}

/** A manifest as birdbone.json holds it: fields in the schema's order, two spaces, lists of numbers on one line. */
export function manifestText(manifest: Manifest): string {
  // A line break inside a JSON string is escaped, so only real lists of numbers match.
  const text = JSON.stringify(manifest, undefined, 2).replace(
    /\[\n\s+(-?[\d.e+-]+(?:,\n\s+-?[\d.e+-]+)*)\n\s+\]/g,
    (list) => list.replace(/\s+/g, '').replaceAll(',', ', '),
  );
  return `${text}\n`;
}

/** The manifest in a model's folder and the sha256 of its file. Throws `unreadable` when there is none, or it is not valid. */
export async function readManifest(folder: string): Promise<{ readonly manifest: Manifest; readonly sha256: string }> {
  const found = await findManifest(folder);
  if (found !== undefined) return found;
  throw new BirdboneError('unreadable', `${folder} has no ${MANIFEST_FILE}, so there is nothing to compare it with.`, {
    file: path.join(folder, MANIFEST_FILE),
    suggestions: [
      'Name a folder that birdbone has written.',
      `Weights in a repository have their hashes in .weight_hashes.json: birdbone hash ${folder} --check`,
    ],
  });
}

/** As `readManifest`, but undefined for a folder or GGUF without one, and for a lone file of another format. */
export async function findManifest(
  folder: string,
): Promise<{ readonly manifest: Manifest; readonly sha256: string } | undefined> {
  const location = (await isGgufFile(folder)) ? folder : path.join(folder, MANIFEST_FILE);
  const found = await readPlace(folder);
  if (found === undefined) return undefined;
  const digest = createHash('sha256').update(found.bytes).digest('hex');
  return { manifest: parseManifest(found.value, location), sha256: digest };
}

/** sha256 of the manifest in a folder or a GGUF, valid or not; undefined where there is none. Throws `unreadable` as reading does. */
export async function manifestDigest(place: string): Promise<string | undefined> {
  const found = await readPlace(place);
  return found && createHash('sha256').update(found.bytes).digest('hex');
}

async function readPlace(place: string) {
  if (await isGgufFile(place)) return manifestInside(place);
  return readJsonFile(path.join(place, MANIFEST_FILE), { maxBytes: MAX_MANIFEST_BYTES });
}

async function isGgufFile(place: string): Promise<boolean> {
  return place.toLowerCase().endsWith('.gguf') && (await stat(place).catch(() => undefined))?.isFile() === true;
}

async function manifestInside(file: string) {
  const checkpoint = await openCheckpoint(file);
  await checkpoint.close();
  const entry = ggufMetadata(checkpoint)?.get(GGUF_MANIFEST_KEY);
  if (entry?.type !== 'string') return undefined;
  return readJson(memorySource(file, Buffer.from(entry.value)), { maxBytes: MAX_MANIFEST_BYTES });
}

function parseManifest(value: unknown, location: string): Manifest {
  const result = manifestSchema.safeParse(value);
  if (!result.success) {
    const faults = result.error.issues.slice(0, 5).map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
    throw new BirdboneError('unreadable', `${location} is not a valid manifest.\n${faults.join('\n')}`, {
      file: location,
      suggestions: ['A manifest of a newer birdbone needs that version to be read.'],
    });
  }
  return result.data;
}

function portable(results: NonNullable<Manifest['measured']>): NonNullable<Manifest['measured']> {
  const { data, calibration, baseline, result } = results;
  return {
    ...results,
    data: { ...data, name: path.basename(data.name) },
    ...(calibration && { calibration: { ...calibration, name: path.basename(calibration.name) } }),
    baseline: finite(baseline),
    result: finite(result),
  };
}

function finite(record: z.output<typeof figures>): z.output<typeof figures> {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, Number.isFinite(value) ? value : null]),
  );
}

/** The recipe without what only says where things lie. */
function withoutPlaces(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPlaces);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).filter(([key]) => key !== 'out');
  return Object.fromEntries(
    fields.map(([key, field]) => {
      const isPath = (key === 'model' || key === 'file') && typeof field === 'string';
      return [key, isPath ? path.basename(field) : withoutPlaces(field)];
    }),
  );
}

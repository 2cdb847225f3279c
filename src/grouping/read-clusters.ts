import { z } from 'zod';
import { type ByteSource, FileSource, readJson, unreadable } from '../checkpoint/index.js';
import { DESCRIPTIONS, NEURON_KINDS } from '../clustering/index.js';

/** One and a half million neurons: reading them takes 52 MB beside what node takes (test/hostile/cluster-file.test.ts). */
export const MAX_CLUSTER_FILE_BYTES = 3 * 2 ** 20;

/** The file's own lists and objects, with room to spare; a parser's memory grows with how deep they go. */
const MAX_DEPTH = 16;

/** What is taken from a cluster file of an earlier run to compare with. */
export interface EarlierClusters {
  readonly model: string;
  readonly neurons: string;
  readonly by: string;
  readonly method: string;
  readonly populations: readonly EarlierPopulation[];
}

export interface EarlierPopulation {
  readonly name: string;
  readonly k: number;
  /** The cluster of each neuron; −1 for none. */
  readonly assignments: Int32Array;
}

const schema = z.object({
  clusters: z.literal(1),
  model: z.string(),
  neurons: z.enum(NEURON_KINDS),
  by: z.enum(DESCRIPTIONS),
  method: z.string(),
  populations: z
    .array(
      z.object({
        name: z.string(),
        neurons: z.int().min(0),
        k: z.int().min(0),
        // Checked below in place: a schema of its elements would copy it.
        assignments: z.custom<readonly unknown[]>(Array.isArray, 'not a list'),
      }),
    )
    .min(1),
});

/**
 * Reads a cluster file of an earlier run, fully checked. Throws `unreadable` with the field at fault for anything else, and for a
 * file above `MAX_CLUSTER_FILE_BYTES`.
 */
export async function readClusters(file: string): Promise<EarlierClusters> {
  const result = schema.safeParse(await readValue(file));
  if (!result.success) {
    const [issue] = result.error.issues;
    throw notClusters(file, `${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'not clusters'}`);
  }
  const { model, neurons, by, method, populations } = result.data;
  const names = new Set<string>();
  const checked = populations.map((population): EarlierPopulation => {
    if (names.has(population.name)) throw notClusters(file, `the population "${population.name}" is there twice`);
    names.add(population.name);
    return { name: population.name, k: population.k, assignments: assignmentsOf(file, population) };
  });
  return { model, neurons, by, method, populations: checked };
}

/** The JSON in a file that is small enough, and flat enough, to be parsed. */
async function readValue(file: string): Promise<unknown> {
  const source = await FileSource.open(file);
  try {
    const { size } = source;
    if (size > MAX_CLUSTER_FILE_BYTES) {
      throw unreadable(file, `it has ${size} bytes; of clusters at most ${MAX_CLUSTER_FILE_BYTES} are read`);
    }
    if (await isDeep(source)) throw notClusters(file, `lists are in lists, more than ${MAX_DEPTH} deep`);
    return (await readJson(source, { maxBytes: MAX_CLUSTER_FILE_BYTES })).value;
  } finally {
    await source.close();
  }
}

const CHUNK_BYTES = 64 * 1024;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/** Whether lists and objects are in each other too often, of bytes a few at a time. */
async function isDeep(source: ByteSource): Promise<boolean> {
  let depth = 0;
  let isText = false;
  let isEscaped = false;
  for (let offset = 0; offset < source.size; offset += CHUNK_BYTES) {
    for (const byte of await source.read(offset, Math.min(CHUNK_BYTES, source.size - offset))) {
      if (isEscaped) isEscaped = false;
      else if (isText && byte === BACKSLASH) isEscaped = true;
      else if (byte === QUOTE) isText = !isText;
      else if (!isText && OPENING.has(byte)) depth += 1;
      else if (!isText && CLOSING.has(byte)) depth -= 1;
      if (depth > MAX_DEPTH) return true;
    }
  }
  return false;
}

/** Every cluster up to k has a neuron, so that k is no larger than the file. */
function assignmentsOf(
  file: string,
  { name, neurons, k, assignments }: z.output<typeof schema>['populations'][number],
): Int32Array {
  if (assignments.length !== neurons) {
    throw notClusters(file, `"${name}" has ${assignments.length} assignments for ${neurons} neurons`);
  }
  if (k > neurons) throw notClusters(file, `"${name}" has ${k} clusters of ${neurons} neurons`);
  const seen = new Uint8Array(k);
  const checked = new Int32Array(neurons);
  for (const [neuron, cluster] of assignments.entries()) {
    if (typeof cluster !== 'number' || !Number.isInteger(cluster) || cluster < -1 || cluster >= k) {
      throw notClusters(file, `neuron ${neuron} of "${name}" is in a cluster that is not one of 0 to ${k - 1}, nor -1`);
    }
    if (cluster >= 0) seen[cluster] = 1;
    checked[neuron] = cluster;
  }
  const empty = seen.indexOf(0);
  if (empty >= 0) throw notClusters(file, `cluster ${empty} of "${name}" has no neuron`);
  return checked;
}

function notClusters(file: string, problem: string) {
  return unreadable(file, `it holds no clusters: ${problem}`, {
    suggestions: ['Make it again: birdbone cluster MODEL --out FILE.json'],
  });
}

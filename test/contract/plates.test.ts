import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BirdboneError } from '../../src/errors.js';
import { architectures, describeModel, type Model, openModel, withCheckpoint } from '../../src/model/index.js';
import { Marks, type Plate, type PlateGraph, type PlateKind, plateGraph } from '../../src/plates/index.js';
import { cutModel } from '../../src/shedding/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import {
  architectureFixtures,
  fixtureModel,
  randomIds,
  uniform,
  writeFixture,
} from '../fixtures/architectures/index.js';
import { logitsOf } from '../model/logits.js';
import { zeroed } from '../shedding/shed-states.js';

/** Largest difference of logits over their largest magnitude. */
const TOLERANCE = 2e-5;

/** Kinds of which there are many plates: one of each block is removed alone. Of the others every one is. */
const MANY: readonly PlateKind[] = ['ffn-channel', 'hidden', 'vocabulary'];
/** Kinds that make blocks differ from each other when they are removed from one of them alone. */
const UNEVEN: readonly PlateKind[] = ['ffn-channel', 'kv-group', 'attention', 'ffn', 'expert'];
/** Families whose blocks may differ, as DeciLM's config can say it of them. */
const ANY_WIDTHS: readonly string[] = ['llama', 'nemotron-nas'];

const LAYER_NORM = /LayerNorm would subtract the mean of fewer dimensions/;
const NO_KEY_HEADS = /has no num_key_value_heads/;
/** What no config.json of the family can say, whatever its blocks lose together, and how that is refused. */
const NEVER: Readonly<Record<string, Readonly<Partial<Record<PlateKind, RegExp>>>>> = {
  gpt2: { hidden: LAYER_NORM, 'kv-group': NO_KEY_HEADS },
  gpt_neox: { hidden: LAYER_NORM, 'kv-group': NO_KEY_HEADS },
  // Embeddings are multiplied by the root of their width.
  gemma2: { hidden: /embeddingScale/ },
  gemma3_text: { hidden: /embeddingScale/ },
};

/** Tokens that can be shed: the text uses those below, and special ones of the configs lie on both sides. */
const TOKENS = { start: 40, count: 16 } as const;

interface Subject {
  readonly model: Model;
  readonly graph: PlateGraph;
  readonly ids: readonly Int32Array[];
}

async function subjectOf(modelType: string): Promise<Subject> {
  const tiny = fixtureModel(architectureFixtures[modelType]!);
  const folder = writeFixture(tiny);
  writeTokenizer(folder, tiny.config['vocab_size'] as number);
  const model = await openModel(folder);
  return { model, graph: plateGraph(model.decoder), ids: [randomIds(9, TOKENS.start, 7)] };
}

/** Byte-pair encoding without merges, one character a token: what a vocabulary is cut out of. */
function writeTokenizer(folder: string, size: number): void {
  const vocab = Object.fromEntries(Array.from({ length: size }, (_, id) => [String.fromCodePoint(0x4e00 + id), id]));
  const definition = {
    ...{ version: '1.0', truncation: null, padding: null, added_tokens: [] },
    ...{ normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null },
    model: { type: 'BPE', vocab, merges: [] },
  };
  writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(definition));
  writeFileSync(path.join(folder, 'tokenizer_config.json'), '{}');
}

/** Each plate of blocks, sub-blocks, groups and experts, and some of those of which there are many. */
function* plates(graph: PlateGraph): Generator<Plate> {
  const random = uniform(5);
  for (const kind of graph.kinds) {
    for (const range of graph.ranges(kind)) {
      const all = [...graph.platesOf(range)].filter(
        ({ index }) => kind !== 'vocabulary' || (index >= TOKENS.start && index < TOKENS.start + TOKENS.count),
      );
      yield* MANY.includes(kind) ? [all[Math.floor(random() * all.length)]!] : all;
    }
  }
}

/** The first plate of a kind in every block (of every expert), or one in the model; of whole blocks the second. */
function everywhere(graph: PlateGraph, kind: PlateKind): Plate[] {
  if (kind === 'block') return [graph.plate('block:1')];
  if (kind === 'hidden' || kind === 'vocabulary')
    return [graph.plate(`${kind}:${kind === 'hidden' ? 7 : TOKENS.start + 7}`)];
  return graph
    .ranges(kind)
    .flatMap((range) =>
      graph.families(kind, range.block!).flatMap(({ start }) => [...graph.platesOf({ ...range, start, count: 1 })]),
    );
}

/** How many plates of each kind every block (every expert) loses, and which is left to the seed. */
const losses = fc.record({
  channels: fc.integer({ min: 0, max: 3 }),
  groups: fc.integer({ min: 0, max: 1 }),
  experts: fc.integer({ min: 0, max: 2 }),
  blocks: fc.integer({ min: 0, max: 1 }),
  hidden: fc.integer({ min: 0, max: 3 }),
  tokens: fc.integer({ min: 0, max: 4 }),
  seed: fc.integer({ min: 1, max: 2 ** 31 }),
});
type Losses = typeof losses extends fc.Arbitrary<infer Value> ? Value : never;

/** Random plates, equally many of each block and expert, as far as the family's config can say it. */
function randomPlates(graph: PlateGraph, lost: Losses, never: Readonly<Partial<Record<PlateKind, RegExp>>>): Plate[] {
  const random = uniform(lost.seed);
  const draw = (from: Plate[], count: number) =>
    Array.from({ length: count }, () => from.splice(Math.floor(random() * from.length), 1)[0]!);
  const counts = [
    ['ffn-channel', lost.channels],
    ['kv-group', lost.groups],
    ['expert', lost.experts],
    ['hidden', lost.hidden],
    ['vocabulary', lost.tokens],
  ] as const;
  const drawn = counts.flatMap(([kind, count]) => {
    if (never[kind] !== undefined) return [];
    return graph.ranges(kind).flatMap((range) => {
      const first = kind === 'vocabulary' ? TOKENS : range;
      const families = range.block === undefined ? [first] : graph.families(kind, range.block);
      return families.flatMap((family) => draw([...graph.platesOf({ ...range, ...family })], count));
    });
  });
  return [...drawn, ...draw([...graph.plates('block')], lost.blocks)];
}

/** The logits of the cut model, with zeros for tokens that are gone. */
async function cutLogits({ model, graph, ids }: Subject, marks: Marks, device: Device): Promise<Float32Array[]> {
  const view = await cutModel(zeroed(model, marks), marks);
  const config = JSON.parse(view.companions!.get('config.json')!) as Parameters<typeof describeModel>[1];
  const cut = { ...withCheckpoint(model, view), decoder: await describeModel(view, config) };
  const rows = await logitsOf(cut, ids, device);
  const kept = Array.from({ length: graph.decoder.vocabulary }, (_, id) => id).filter(
    (id) => !marks.has(`vocabulary:${id}`),
  );
  return rows.map((logits) => {
    const full = new Float32Array((logits.length / kept.length) * graph.decoder.vocabulary);
    logits.forEach((value, i) => {
      full[Math.floor(i / kept.length) * graph.decoder.vocabulary + kept[i % kept.length]!] = value;
    });
    return full;
  });
}

function distance(left: readonly Float32Array[], right: readonly Float32Array[]): number {
  const magnitude = Math.max(...right.flatMap((row) => [...row].map(Math.abs)));
  return Math.max(...left.flatMap((row, i) => [...row].map((value, j) => Math.abs(value - right[i]![j]!)))) / magnitude;
}

describe.each(architectures.names)('plates of %s', (modelType) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('cpu');
  });
  afterAll(() => device.close());

  const never = NEVER[modelType] ?? {};

  /** How far the cut model's logits are from those of the zeros, or why it is refused. */
  async function off(subject: Subject, marks: Marks): Promise<number | BirdboneError> {
    const full = await logitsOf(zeroed(subject.model, marks), subject.ids, device);
    expect(full.every((row) => row.every(Number.isFinite))).toBe(true);
    try {
      return distance(await cutLogits(subject, marks, device), full);
    } catch (error) {
      if (error instanceof BirdboneError) return error;
      throw error;
    }
  }

  it('each removed alone breaks nothing, and is cut out where a config can say it', async () => {
    const subject = await subjectOf(modelType);
    for (const plate of plates(subject.graph)) {
      const found = await off(subject, Marks.of([plate]));
      const uneven = UNEVEN.includes(plate.kind) && !ANY_WIDTHS.includes(modelType);
      if (uneven || never[plate.kind] !== undefined) expect(found, plate.id).toMatchObject({ code: 'unsupported' });
      else expect(found, plate.id).toBeLessThan(TOLERANCE);
    }
    await subject.model.checkpoint.close();
  });

  it('one in every block is cut out, or refused with the reason', async () => {
    const subject = await subjectOf(modelType);
    for (const kind of subject.graph.kinds.filter((candidate) => candidate !== 'attention' && candidate !== 'ffn')) {
      const found = await off(subject, Marks.of(everywhere(subject.graph, kind)));
      const reason = never[kind];
      if (reason === undefined) expect(found, kind).toBeLessThan(TOLERANCE);
      else expect((found as BirdboneError).message, kind).toMatch(reason);
    }
    await subject.model.checkpoint.close();
  });

  it('at random, equally many of each block: cutting is zeroing', async () => {
    const subject = await subjectOf(modelType);
    await fc.assert(
      fc.asyncProperty(losses, async (lost) => {
        const drawn = randomPlates(subject.graph, lost, never);
        fc.pre(drawn.length > 0);
        expect(await off(subject, Marks.of(drawn)), drawn.map(({ id }) => id).join(' ')).toBeLessThan(TOLERANCE);
      }),
      { numRuns: 3, seed: 20_261_121 },
    );
    await subject.model.checkpoint.close();
  });
});

import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BlockEvidence, collectEvidence, EVIDENCE_KINDS, type EvidenceKind } from '../../src/evidence/index.js';
import {
  batchesOf,
  createHiddenStates,
  disposeBlock,
  embedBatches,
  type HiddenStates,
  type LinearInput,
  type LoadedBlock,
  loadBlock,
  openModel,
} from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, writeFixture } from '../fixtures/architectures/index.js';
import { referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, tinyModel } from '../reference/tiny-model.js';
import { SUBJECTS } from './subjects.js';
import { statesBefore, type TinySession, tinySession } from './tiny-session.js';

const INPUTS = { qkv: 'attention-norm', o: 'attention-out', 'gate-up': 'ffn-norm', down: 'ffn-inner' } as const;
const ALL = new Set(EVIDENCE_KINDS);
/** Batches of at most this many tokens: the windows below make padded ones of it. */
const MAX_TOKENS = 24;

let session: TinySession;
beforeAll(async () => {
  session = await tinySession(tinyModel(TINY_LLAMA), [9, 12, 12, 3, 1]);
});
afterAll(() => session.close());

/** Every input vector of the block's linears, by the oracle. */
function oracleInputs(block: number, dropFirst = false): Map<LinearInput, Float64Array[]> {
  const vectors = new Map<LinearInput, Float64Array[]>();
  for (const ids of session.sequences) {
    referenceLogits(session.reference, ids, (layer, input, found) => {
      if (layer !== block) return;
      const name = INPUTS[input];
      vectors.set(name, [...(vectors.get(name) ?? []), ...(dropFirst ? found.slice(1) : found)]);
    });
  }
  return vectors;
}

function columnOf(vectors: readonly Float64Array[], column: number): number[] {
  return vectors.map((vector) => vector[column]!);
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

async function expectOracle(evidence: BlockEvidence, vectors: Map<LinearInput, Float64Array[]>, device: Device) {
  expect([...evidence.inputs].sort()).toEqual([...vectors.keys()].sort());
  for (const [input, tokens] of vectors) {
    const columns = tokens[0]!.length;
    const all = Array.from({ length: columns }, (_, j) => columnOf(tokens, j));
    const means = all.map((x) => sum(x) / x.length);
    const expected = {
      norms: all.map((x) => Math.sqrt(sum(x.map((value) => value * value)))),
      absMeans: all.map((x) => sum(x.map(Math.abs)) / x.length),
      absMaxima: all.map((x) => Math.max(...x.map(Math.abs))),
      mean: means,
      variance: all.map((x, j) => sum(x.map((value) => (value - means[j]!) ** 2)) / x.length),
    };
    const { mean, variance } = evidence.momentsOf(input);
    const [norms, absMeans, absMaxima] = [
      evidence.normsOf(input),
      evidence.absMeansOf(input),
      evidence.absMaximaOf(input),
    ];
    const found = { norms, absMeans, absMaxima, mean, variance };
    expect(evidence.tokensOf(input)).toBe(tokens.length);
    for (const name of ['norms', 'absMeans', 'absMaxima', 'mean', 'variance'] as const) {
      expectClose(await device.read(found[name]), expected[name], `${name} of ${input}`);
    }
    const gram = evidence.gramOf(input);
    expect([gram.columns, gram.tokens]).toEqual([columns, tokens.length]);
    const products = all.flatMap((x) => all.map((y) => sum(x.map((value, t) => value * y[t]!))));
    expectClose(gram.values, products, `Gram matrix of ${input}`);
  }
}

function expectClose(found: ArrayLike<number>, expected: readonly number[], what: string): void {
  const scale = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...expected.map((value, i) => Math.abs(found[i]! - value)));
  expect(found.length, what).toBe(expected.length);
  expect(worst / scale, what).toBeLessThan(1e-5);
}

describe.each(SUBJECTS)('evidence on $name', ({ name, missing }) => {
  describe.skipIf(missing !== undefined)(missing ?? 'available', () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(name);
    });
    afterAll(() => device.close());

    async function withBlock(index: number, use: (block: LoadedBlock, states: HiddenStates) => Promise<void>) {
      const states = await statesBefore(session, index, device, MAX_TOKENS);
      const block = await loadBlock(session.model, index, device);
      try {
        await use(block, states);
      } finally {
        disposeBlock(block);
        await states.close();
      }
    }

    it.each([0, 1])('is what float64 finds in block %i, without the padding', (index) =>
      withBlock(index, async (block, states) => {
        const evidence = await collectEvidence(block, states, ALL, { device });
        await expectOracle(evidence, oracleInputs(index), device);
        evidence.dispose();
      }),
    );

    it("leaves out each window's first token when told to", () =>
      withBlock(1, async (block, states) => {
        const evidence = await collectEvidence(block, states, ALL, { device, dropFirstToken: true });
        await expectOracle(evidence, oracleInputs(1, true), device);
        evidence.dispose();
      }));

    it('leaves the device as it was, also when it is interrupted', () =>
      withBlock(0, async (block, states) => {
        const before = device.memory();
        const evidence = await collectEvidence(block, states, ALL, { device });
        evidence.dispose();
        expect(device.memory()).toEqual(before);
        const abort = new AbortController();
        const onBatch = () => abort.abort();
        const stopped = collectEvidence(block, states, ALL, { device, signal: abort.signal, onBatch });
        await expect(stopped).rejects.toThrow(expect.objectContaining({ code: 'interrupted' }));
        expect(device.memory()).toEqual(before);
      }));
  });
});

describe('evidence', () => {
  let device: Device;
  let block: LoadedBlock;
  let states: HiddenStates;
  beforeAll(async () => {
    device = await openDevice('cpu');
    block = await loadBlock(session.model, 0, device);
    states = await statesBefore(session, 0, device, MAX_TOKENS);
  });
  afterAll(async () => {
    disposeBlock(block);
    await states.close();
    await device.close();
  });

  const collect = (kinds: EvidenceKind[], options = {}) =>
    collectEvidence(block, states, new Set(kinds), { device, ...options });

  it('is of the inputs and kinds that were asked for, and says what was not', async () => {
    const evidence = await collect(['norms'], { inputs: new Set(['ffn-inner']) });
    expect(evidence.inputs).toEqual(['ffn-inner']);
    expect(() => evidence.gramOf('ffn-inner')).toThrow('gram of the input ffn-inner were not collected');
    expect(() => evidence.normsOf('ffn-norm')).toThrow('no evidence of the input ffn-norm');
    evidence.dispose();
  });

  it('hands a Gram matrix over once', async () => {
    const evidence = await collect(['gram', 'norms']);
    const { values } = evidence.gramOf('ffn-norm');
    expect(evidence.takeGram('ffn-norm').values).toBe(values);
    expect(() => evidence.gramOf('ffn-norm')).toThrow(RangeError);
    expect(evidence.normsOf('ffn-norm').size).toBe(32);
    evidence.dispose();
  });

  it('is the same to the last bit at every run, and with other kinds beside it', async () => {
    const [one, two] = [await collect(['gram', 'moments']), await collect([...EVIDENCE_KINDS])];
    expect(two.gramOf('ffn-inner').values).toEqual(one.gramOf('ffn-inner').values);
    const variances = [one, two].map((evidence) => device.read(evidence.momentsOf('ffn-inner').variance));
    expect(await variances[0]).toEqual(await variances[1]);
    one.dispose();
    two.dispose();
  });

  it('of windows of one token without that token is of nothing', async () => {
    const short = await tinySession(session.reference, [1, 1]);
    const ones = await statesBefore(short, 0, device, MAX_TOKENS);
    const evidence = await collectEvidence(block, ones, ALL, { device, dropFirstToken: true });
    expect(evidence.tokensOf('ffn-norm')).toBe(0);
    expect([...(await device.read(evidence.momentsOf('ffn-norm').variance))]).toEqual(new Array(32).fill(0));
    expect(evidence.gramOf('ffn-norm').values.every((value) => value === 0)).toBe(true);
    evidence.dispose();
    await ones.close();
    await short.close();
  });

  it('carries the states on to the next block in the same pass when told to', async () => {
    const moving = await statesBefore(session, 0, device, MAX_TOKENS);
    const next = await statesBefore(session, 1, device, MAX_TOKENS);
    (await collectEvidence(block, moving, new Set(['norms']), { device, store: true })).dispose();
    for (const i of moving.batches.keys()) expect(await moving.load(i)).toEqual(await next.load(i));
    await moving.close();
    await next.close();
  });

  it('of experts is of the tokens that are sent to them, the first ones too', async () => {
    const fixture = fixtureModel(architectureFixtures['mixtral']!);
    const folder = writeFixture(fixture);
    const model = await openModel(folder);
    const batches = batchesOf([{ ids: Int32Array.of(1, 2, 3, 4, 5) }, { ids: Int32Array.of(5, 4, 3) }], 16);
    const tokenStates = await createHiddenStates(batches, model.decoder.hidden, {
      memoryBytes: 2 ** 24,
      spillFolder: '',
    });
    await embedBatches(model, tokenStates);
    const routed = await loadBlock(model, 0, device);
    const evidence = await collectEvidence(routed, tokenStates, ALL, { device, dropFirstToken: true });
    const { count, perToken } = routed.spec.experts!;
    const sent = Array.from({ length: count }, (_, expert) => evidence.tokensOf(`ffn-inner-${expert}`));
    expect(sent.reduce((total, tokens) => total + tokens, 0)).toBe(8 * perToken);
    expect(evidence.tokensOf('ffn-norm')).toBe(6);
    evidence.dispose();
    disposeBlock(routed);
    await tokenStates.close();
    await model.checkpoint.close();
    rmSync(folder, { recursive: true });
  });
});

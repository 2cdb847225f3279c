import { tmpdir } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Model, openModel } from '../../src/model/index.js';
import { channelHealth, clusterHealth } from '../../src/pruning/cluster-health.js';
import type { EditContext } from '../../src/pruning/index.js';
import type { NetworkChannels } from '../../src/pruning/network-channels.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, withTensors, writeFixture } from '../fixtures/architectures/index.js';
import { randomWindows } from './shed-once.js';

let device: Device;

const opened: Model[] = [];

beforeAll(async () => {
  device = await openDevice('cpu');
});
afterEach(async () => {
  for (const { checkpoint } of opened.splice(0)) await checkpoint.close();
});
afterAll(async () => {
  await device.close();
});

/** What a row's output is multiplied by. */
type Factor = (row: number) => number;

/** A model of this family, and the same with rows of its first block's weights times a factor, whatever the text is. */
async function pairOf(
  family: string,
  factors: Readonly<Record<string, Factor>>,
): Promise<Pick<EditContext, 'dense' | 'model'>> {
  const dense = fixtureModel(architectureFixtures[family]!);
  const scaled = Object.entries(factors).map(([name, factor]) => {
    const { shape, values } = dense.tensors.get(name)!;
    return [name, values.map((value, i) => value * factor(Math.floor(i / shape[1]!)))] as const;
  });
  const model = await openModel(writeFixture(withTensors(dense, new Map(scaled))));
  opened.push(model);
  const pair = { dense: await openModel(writeFixture(dense)), model };
  opened.push(pair.dense);
  return pair;
}

const contextOf = (pair: Pick<EditContext, 'dense' | 'model'>): EditContext =>
  ({
    ...pair,
    ...{ device, report: () => undefined, calibration: randomWindows(3, 4, 16) },
    ...{ memoryBytes: 2 ** 24, spillFolder: tmpdir() },
  }) as Partial<EditContext> as EditContext;

const Q = 'model.layers.0.self_attn.q_proj.weight';
const rowsOf = ({ checkpoint }: Model, name: string) => checkpoint.tensors.get(name)!.shape[0]!;

describe('health of clusters of rows', () => {
  it('is 1 − the squared part by which their outputs are off', async () => {
    // Rows in turn: halved, gone, as they were, twice and a half what they were.
    const pair = await pairOf('llama', { [Q]: (row) => [0.5, 0, 1, 2.5][row % 4]! });
    const assignments = Int32Array.from({ length: rowsOf(pair.model, Q) }, (_, row) => row % 4);
    const health = await clusterHealth(new Map([[Q, assignments]]), contextOf(pair));
    for (const [cluster, expected] of [0.75, 0, 1, 0].entries())
      expect(health.get(`${Q}#${cluster}`)).toBeCloseTo(expected, 5);
  });

  it('suffers from blocks before, and is not asked of the dense model itself', async () => {
    const pair = await pairOf('llama', { [Q]: () => 0 });
    const behind = Q.replace('.0.', '.1.');
    const clusters = new Map([[behind, new Int32Array(rowsOf(pair.model, behind))]]);
    const drifted = (await clusterHealth(clusters, contextOf(pair))).get(`${behind}#0`)!;
    expect(drifted).toBeGreaterThan(0);
    expect(drifted).toBeLessThan(1);
    expect((await clusterHealth(clusters, contextOf({ dense: pair.model, model: pair.model }))).size).toBe(0);
  });
});

describe('health of clusters of channels', () => {
  // Attention is as it was, so that the network is fed the same.
  const [gate, up] = ['gate', 'up'].map((role) => `model.layers.0.mlp.${role}_proj.weight`) as [string, string];
  const fused = 'model.layers.0.mlp.gate_up_proj.weight';
  const half: Factor = (channel) => (channel % 2 === 0 ? 0.5 : 1);
  const none: Factor = (channel) => (channel % 2 === 0 ? 0 : 1);

  it.each([
    ['llama', { [gate]: half, [up]: none }, 44],
    ['phi3', { [fused]: (row: number) => (row < 44 ? half(row) : none(row - 44)) }, 44],
  ] as const)(
    'is the mean of gate and up, in weights of their own or in one: %s',
    async (family, factors, channels) => {
      const pair = await pairOf(family, factors);
      const spec = pair.model.decoder.blocks[0]!.linears.find(({ role }) => role === 'down')!;
      expect(spec.columns).toBe(channels);
      const assignments = Int32Array.from({ length: channels }, (_, channel) => channel % 2);
      const network = { block: 0, network: 0, consumer: { spec }, assignments } as Partial<NetworkChannels>;
      const health = await channelHealth([network as NetworkChannels], contextOf(pair));
      expect(health.get(`${spec.weight}#1`)).toBeCloseTo(1, 5);
      if (family === 'llama') expect(health.get(`${spec.weight}#0`)).toBeCloseTo((0.75 + 0) / 2, 5);
      else {
        // In one weight the rows of both are one cluster: what is left of their squares together.
        expect(health.get(`${spec.weight}#0`)).toBeGreaterThan(0);
        expect(health.get(`${spec.weight}#0`)).toBeLessThan(0.75);
      }
    },
  );
});

import { describe, expect, test } from 'vitest';
import { plateGraph } from '../../src/plates/index.js';
import { llamaDecoder } from './tiny-decoders.js';

describe('the graph of a llama with grouped queries and biases', () => {
  const decoder = llamaDecoder({ blocks: 2, hidden: 12, heads: 4, kvHeads: 2, headDim: 3, ffn: 10, vocabulary: 20 });
  const graph = plateGraph(decoder);

  test('a channel is its rows of gate and up and its column of down', () => {
    const plate = graph.plate('ffn-channel:1:7');
    expect(graph.slices(plate)).toEqual([
      { tensor: 'b1.gate.weight', axis: 0, start: 7, count: 1 },
      { tensor: 'b1.gate.bias', axis: 0, start: 7, count: 1 },
      { tensor: 'b1.up.weight', axis: 0, start: 7, count: 1 },
      { tensor: 'b1.up.bias', axis: 0, start: 7, count: 1 },
      { tensor: 'b1.down.weight', axis: 1, start: 7, count: 1 },
    ]);
    expect(plate.parameters).toBe(3 * 12 + 2);
  });

  test('a KV group is a head of k and v, two heads of q and their columns of o', () => {
    expect(graph.slices(graph.plate('kv-group:0:1'))).toEqual([
      { tensor: 'b0.q.weight', axis: 0, start: 6, count: 6 },
      { tensor: 'b0.q.bias', axis: 0, start: 6, count: 6 },
      { tensor: 'b0.k.weight', axis: 0, start: 3, count: 3 },
      { tensor: 'b0.k.bias', axis: 0, start: 3, count: 3 },
      { tensor: 'b0.v.weight', axis: 0, start: 3, count: 3 },
      { tensor: 'b0.v.bias', axis: 0, start: 3, count: 3 },
      { tensor: 'b0.o.weight', axis: 1, start: 6, count: 6 },
    ]);
  });
});

import { describe, expect, test } from 'vitest';
import { comparisonOf } from '../../src/benchmarking/comparison.js';
import { enginesFor } from '../../src/benchmarking/engines.js';
import { type EngineFigures, type ModelFigures, type Round, spreadOf } from '../../src/benchmarking/figures.js';
import { BirdboneError } from '../../src/errors.js';

describe('a spread', () => {
  test.each([
    [[3], { median: 3, lowest: 3, highest: 3 }],
    [[5, 1, 2], { median: 2, lowest: 1, highest: 5 }],
    [[8, 2, 4, 1], { median: 3, lowest: 1, highest: 8 }],
  ])('of %j', (values, spread) => {
    expect(spreadOf(values)).toEqual(spread);
  });

  test('of nothing is a bug', () => {
    expect(() => spreadOf([])).toThrow(RangeError);
  });
});

function engine(name: EngineFigures['engine'], peakBytes: number, rounds: readonly Round[]): EngineFigures {
  const nothing = { median: 0, lowest: 0, highest: 0 };
  const spreads = { loadSeconds: nothing, promptTokensPerSecond: nothing };
  return { engine: name, description: '', ...spreads, peakBytes, idleBytes: 0, rounds };
}

function modelOf(role: ModelFigures['role'], bytes: number, engines: readonly EngineFigures[]): ModelFigures {
  const demands = { productOperations: 3 * bytes, attentionOperations: bytes, weightBytes: bytes, cacheBytes: bytes };
  return { role, name: role, path: role, format: '', parameters: 1, bytes, bitsPerWeight: 16, demands, engines };
}

test('a comparison divides round by round, not median by median', () => {
  const round = (loadSeconds: number, promptTokensPerSecond: number) => ({ loadSeconds, promptTokensPerSecond });
  // The machine was twice as slow in the second round: the model is 1.5 times as fast all the same.
  const base = modelOf('base', 100, [engine('birdbone', 10, [round(1, 100), round(2, 50), round(1, 100)])]);
  const model = modelOf('model', 25, [
    engine('birdbone', 5, [round(0.5, 150), round(1, 75), round(0.25, 150)]),
    engine('llama.cpp', 1, [{ ...round(1, 1), generatedTokensPerSecond: 1 }]),
  ]);
  expect(comparisonOf(base, model)).toEqual({
    bytes: 0.25,
    operations: 0.25,
    bytesPerToken: 0.25,
    engines: [
      {
        engine: 'birdbone',
        peakBytes: 0.5,
        loadSeconds: { median: 0.5, lowest: 0.25, highest: 0.5 },
        promptTokensPerSecond: { median: 1.5, lowest: 1.5, highest: 1.5 },
      },
    ],
  });
});

describe('engines', () => {
  const folder = { role: 'model', path: 'out', isGguf: false, maxContext: 256 } as const;
  const gguf = { ...folder, path: 'out.gguf', isGguf: true };
  const nowhere = '/nowhere';

  test('without a GGUF it is birdbone alone', () => {
    const { engines, notices } = enginesFor([folder], { engine: 'auto' });
    expect(engines).toEqual([{ subject: folder, engine: 'birdbone' }]);
    expect(notices).toEqual([]);
  });

  test('a GGUF says that llama.cpp is not installed, and is measured without it', () => {
    const { engines, notices } = enginesFor([gguf], { engine: 'auto', llamaFolder: nowhere });
    expect(engines).toEqual([{ subject: gguf, engine: 'birdbone' }]);
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain('node-llama-cpp is not installed in /nowhere');
  });

  test.each([
    ['llama.cpp that is not installed', [gguf], 'device'],
    ['llama.cpp for what it does not load', [folder], 'usage'],
  ] as const)('refuses %s', (_, subjects, code) => {
    const ask = () => enginesFor(subjects, { engine: 'llama.cpp', llamaFolder: nowhere });
    expect(ask).toThrow(BirdboneError);
    expect(ask).toThrow(expect.objectContaining({ code }));
  });
});

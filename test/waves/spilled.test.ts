import { expect, it } from 'vitest';
import { at, go, inWorkplaces, weightsOf } from '../fixtures/runs.js';

inWorkplaces();

it('comes to the same bytes whether hidden states are in memory or in files', async () => {
  const steps = [{ do: 'prune', sparsity: 0.5, waves: 1 }];
  const inMemory = await go({ steps });
  const weights = await weightsOf(at('out/half'));
  const spilled = await go({ steps }, { memoryBytes: 0, restart: true });
  expect(await weightsOf(at('out/half'))).toEqual(weights);
  expect(spilled.result).toEqual(inMemory.result);
});

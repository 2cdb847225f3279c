import { describe, expect, it } from 'vitest';
import { type SpikeReading, spikePolicy } from '../../src/spikes/index.js';

const calm = (step: number): SpikeReading => ({ step, severity: 'slight', votes: [], action: 'go-on', reason: 'odd' });
const spike = (step: number, since = step): SpikeReading => {
  return { step, severity: 'spike', votes: [], action: 'restore', since, reason: 'a jump' };
};

describe('spikePolicy', () => {
  it('restores, skips the window and halves the rate; the third time it stops', () => {
    const policy = spikePolicy();
    const decisions = [calm(1), spike(5, 4), calm(6), spike(9), spike(20)].reduce<{
      state: ReturnType<typeof policy.begin>;
      all: unknown[];
    }>(
      ({ state, all }, reading) => {
        const decided = policy.decide(state, reading);
        return { state: decided.state, all: [...all, decided.decision] };
      },
      { state: policy.begin(), all: [] },
    );
    expect(decisions.all).toEqual([
      { do: 'go-on' },
      { do: 'restore', before: 4, skipTo: 5, rateFactor: 0.5, strikes: 1, reason: 'a jump' },
      { do: 'go-on' },
      { do: 'restore', before: 9, skipTo: 9, rateFactor: 0.25, strikes: 2, reason: 'a jump' },
      { do: 'stop', strikes: 3, reason: 'a jump' },
    ]);
    expect(decisions.state).toEqual({ strikes: 3, rateFactor: 0.125 });
  });

  it('takes other settings, and leaves the state that it is given alone', () => {
    const policy = spikePolicy({ strikes: 1, rateFactor: 0.1 });
    const state = Object.freeze(policy.begin());
    expect(policy.decide(state, spike(3)).decision).toMatchObject({ do: 'stop', strikes: 1 });
    expect(state).toEqual({ strikes: 0, rateFactor: 1 });
  });
});

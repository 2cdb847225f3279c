import { expect, test } from 'vitest';
import { secondsPerBlock, wholeJobs } from '../../bench/gpu/whole-job.js';

const run = (windows: number, seconds: number) => ({ windows, tokens: 2048 * windows, seconds });

test('a block takes what it takes in any case, and for 128 windows what each adds', () => {
  // 3 seconds, and half a second a window.
  expect(secondsPerBlock({ runs: [run(2, 4), run(8, 7)] })).toBe(3 + 128 / 2);
});

test('a job without text takes the same for any text', () => {
  expect(secondsPerBlock({ runs: [run(0, 1.5)] })).toBe(1.5);
});

test('a clock that was disturbed gives no negative time', () => {
  expect(secondsPerBlock({ runs: [run(2, 4), run(8, 3)] })).toBe(4);
});

test('the model has 32 blocks; what failed is left out', () => {
  const jobs = { wanda: { runs: [run(2, 2), run(8, 2)] }, gptq: { failed: 'lost' } };
  expect(wholeJobs({ jobs })).toEqual([{ job: 'wanda', seconds: 64, targetSeconds: 90 }]);
});

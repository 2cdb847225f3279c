import { describe, expect, it } from 'vitest';
import { goOn, makePausable, PauseSwitch, pauseSwitchOf } from '../src/pause.js';

/** A signal that can be paused, and what its switch has told. */
function pausable() {
  const controller = new AbortController();
  const pause = new PauseSwitch();
  makePausable(controller.signal, pause);
  const told: string[] = [];
  pause.watchedBy({
    held: async () => {
      told.push('held');
    },
    released: async (aborted) => {
      told.push(aborted ? 'ended' : 'released');
    },
  });
  return { controller, pause, told, signal: controller.signal };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('goOn', () => {
  it('returns at once without a signal, without a switch, and where no pause is wanted', async () => {
    const { pause, told, signal } = pausable();
    await goOn(undefined);
    await goOn(new AbortController().signal);
    await goOn(signal);
    expect(pauseSwitchOf(signal)).toBe(pause);
    expect(told).toEqual([]);
  });

  it('holds all work until the pause is over, and says so once', async () => {
    const { pause, told, signal } = pausable();
    pause.set(true, 'signal');
    const done: number[] = [];
    const work = [0, 1, 2].map((index) => goOn(signal).then(() => done.push(index)));
    await turn();
    expect([told, done]).toEqual([['held'], []]);
    pause.set(false, 'request');
    await Promise.all(work);
    expect(told).toEqual(['held', 'released']);
    expect(done).toEqual([0, 1, 2]);
  });

  it('holds again, and not where the pause was taken back in time', async () => {
    const { pause, told, signal } = pausable();
    pause.set(true, 'signal');
    pause.set(false, 'signal');
    await goOn(signal);
    expect(told).toEqual([]);
    for (let time = 0; time < 2; time += 1) {
      pause.set(true, 'signal');
      const work = goOn(signal);
      await turn();
      pause.set(false, 'signal');
      await work;
    }
    expect(told).toEqual(['held', 'released', 'held', 'released']);
    expect(pause.heldMilliseconds).toBeGreaterThan(0);
  });

  it('throws interrupted when the signal is aborted, before the pause and in it', async () => {
    const { controller, pause, told, signal } = pausable();
    pause.set(true, 'signal');
    const work = goOn(signal);
    await turn();
    controller.abort();
    await expect(work).rejects.toMatchObject({ code: 'interrupted' });
    await expect(goOn(signal)).rejects.toMatchObject({ code: 'interrupted' });
    expect(told).toEqual(['held', 'ended']);
  });

  it('throws what its watch throws, and holds nobody for ever by it', async () => {
    const { pause, signal } = pausable();
    pause.watchedBy({ held: () => Promise.reject(new Error('disk full')), released: async () => {} });
    pause.set(true, 'signal');
    await expect(goOn(signal)).rejects.toThrow('disk full');
    pause.set(false, 'signal');
    await goOn(signal);
  });
});

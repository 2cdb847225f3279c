import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Event } from '../../src/events.js';
import { makePausable, PauseSwitch } from '../../src/pause.js';
import {
  type ControlAction,
  checkState,
  hasRequest,
  holderOf,
  Journal,
  leaveRequest,
  stateFolder,
} from '../../src/state/index.js';
import { type ControlResult, controlRun, readLog } from '../../src/waves/index.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const THREE = { steps: [{ do: 'prune', sparsity: 0.3, waves: 3, schedule: 'linear' }] };
const out = () => at('out/half');

/** Asks the run that is under way in this process. */
const ask = (action: ControlAction | 'status') => controlRun({ out: out(), action });

/** What to do with a run while it is held in the middle of a wave, between two blocks; `end` interrupts it. */
type Deed = (end: () => void) => Promise<unknown>;

/**
 * A run that is held by a switch of its own once in the middle of each of these waves until the deed is done there; in "wave 0" while
 * the dense model is measured.
 */
async function held(deeds: Readonly<Record<number, Deed>>, watch: (event: Event) => void = () => {}) {
  const controller = new AbortController();
  const pause = new PauseSwitch();
  makePausable(controller.signal, pause);
  const done = new Map<number, Promise<unknown>>();
  let wave = 0;
  const report = (event: Event) => {
    watch(event);
    if (event.type === 'baseline') wave = 1;
    if (event.type === 'wave' || (event.type === 'control' && event.action === 'skip')) wave = event.wave + 1;
    const isIn = event.type === 'progress' && event.stage === (wave === 0 ? 'evaluate' : 'prune');
    if (isIn && deeds[wave] !== undefined && !done.has(wave)) pause.set(true, 'signal');
    if (event.type === 'control' && event.action === 'pause' && !done.has(wave))
      done.set(
        wave,
        deeds[wave]!(() => controller.abort()),
      );
  };
  try {
    return await go(THREE, { report, signal: controller.signal });
  } finally {
    expect([...done.keys()]).toEqual(Object.keys(deeds).map(Number));
    await Promise.all(done.values());
  }
}

async function told() {
  const { history } = await readLog({ out: out() });
  return {
    waves: history.waves.map(({ wave, target }) => [wave, Number(target.toFixed(4))]),
    controls: history.controls.map(({ action, wave, by }) => `${action} ${wave} ${by}`),
  };
}

/** As a kill in the middle of a wave would leave it: the journal ends with the wave before, and nothing is published. */
async function killedAfter(wave: number): Promise<void> {
  const { journal } = stateFolder(out());
  const { records } = await Journal.open(journal, { repair: false });
  const last = records.findIndex((record) => record.type === 'wave' && record['wave'] === wave);
  const lines = (await readFile(journal, 'utf8')).split('\n').slice(0, last + 1);
  await writeFile(journal, `${lines.join('\n')}\n`);
  await rm(out(), { recursive: true });
}

describe('a run under control', () => {
  it('waits where it is, says so, and ends in the same bytes, also when it is ended while it waits', async () => {
    await go({ ...THREE, out: at('plain/half') });
    let seen: ControlResult | undefined;
    let after: ControlResult | undefined;
    const interrupted = held({
      2: async () => {
        seen = await ask('status');
        after = await ask('resume');
      },
      3: async (end) => end(),
    });
    await expect(interrupted).rejects.toMatchObject({ code: 'interrupted' });
    expect(seen).toMatchObject({
      request: null,
      run: { state: 'paused', wave: 2, target: expect.closeTo(0.2), process: process.pid },
      journal: { status: 'running', kept: 1 },
    });
    expect(after).toMatchObject({ request: 'taken', run: { state: 'running', wave: 2 } });
    await go(THREE, { resume: true });
    expect(contentsOf(out())).toEqual(contentsOf(at('plain/half')));
    // Ending is no going on.
    expect((await told()).controls).toEqual(['pause 2 signal', 'resume 2 request', 'pause 3 signal']);
  });

  it('drops a wave that is skipped, tries half its step, and does so again when it is killed and resumed', async () => {
    const result = await held({ 2: () => ask('skip') });
    expect(result.reached).toBe(true);
    const whole = { contents: contentsOf(out()), told: await told() };
    expect(whole.told.controls).toEqual(['pause 2 signal', 'skip 2 request']);
    // A number of its own: what was decided in the wave that was dropped is not the next one's.
    expect(whole.told.waves.slice(0, 3)).toEqual([
      [1, 0.1],
      [3, 0.15],
      [4, 0.2],
    ]);
    expect(whole.told.waves.at(-1)![1]).toBe(0.3);
    expect(await checkState(stateFolder(out()), { readData: true })).toMatchObject({ sound: true });
    await killedAfter(3);
    await go(THREE, { resume: true });
    expect({ contents: contentsOf(out()), told: await told() }).toEqual(whole);
  });

  it('skips no wave that is judged, and stops after the wave that it is at, with what was kept', async () => {
    const notices: string[] = [];
    let afterLate: ControlResult | undefined;
    const deed = async () => {
      const { root } = stateFolder(out());
      const { token } = (await holderOf(root))!;
      await leaveRequest(root, token, { action: 'skip', wave: 1 });
      while (hasRequest(root, token)) await setTimeout(20);
      afterLate = await ask('status');
      await ask('stop');
    };
    const result = await held({ 2: deed }, (event) => {
      if (event.type === 'notice') notices.push(event.message);
    });
    expect(notices).toContainEqual('Wave 1 is judged: there is nothing to skip.');
    expect(afterLate).toMatchObject({ run: { state: 'paused', wave: 2 } });
    expect(result).toMatchObject({ reached: false, reason: 'stopped by hand' });
    expect(await told()).toEqual({
      waves: [
        [1, 0.1],
        [2, 0.2],
      ],
      controls: ['pause 2 signal', 'resume 2 request', 'stop 3 request'],
    });
    // It is over: to resume it says what it came to, and nobody can stop it again.
    expect(await go(THREE, { resume: true })).toMatchObject({ reason: 'stopped by hand' });
    await expect(ask('stop')).rejects.toThrow(/no run of .* to stop: it is published/);
  });

  it('has nothing to publish when it is stopped before a wave is kept, and says so', async () => {
    await expect(ask('pause')).rejects.toThrow(/There is no history/);
    const stopped = held({ 0: () => ask('stop') });
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted', message: expect.stringContaining('by hand') });
    expect(await ask('status')).toMatchObject({ run: null, journal: { status: 'failed', kept: 0 } });
  });
});

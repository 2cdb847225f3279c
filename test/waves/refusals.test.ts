import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { BirdboneError } from '../../src/errors.js';
import type { Event } from '../../src/events.js';
import { verifyFolder } from '../../src/manifest/index.js';
import { collectGarbage, Journal, stateFolder } from '../../src/state/index.js';
import { planRun, readLog } from '../../src/waves/index.js';
import { at, flipLastBit, go, inWorkplaces, objectsOfWave, recipe } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

describe('run --restart', () => {
  it('replaces a result whose journal is damaged, or gone because a restart was killed early', async () => {
    const first = await go();
    const { journal } = stateFolder(first.out);
    await writeFile(journal, 'damaged\n');
    await expect(go({}, { resume: true })).rejects.toMatchObject({ code: 'unreadable' });
    await go({}, { restart: true });
    await rm(journal);
    await expect(go()).rejects.toThrow(/exists already/);
    const last = await go({}, { restart: true });
    expect(contentsOf(last.out)).toEqual(contentsOf(first.out));
  });

  it('leaves a damaged journal where it is when the new run is refused', async () => {
    const first = await go();
    const { journal } = stateFolder(first.out);
    await writeFile(journal, 'damaged\n');
    await rm(`${first.out}/birdbone.json`);
    await expect(go({}, { restart: true })).rejects.toMatchObject({ code: 'usage' });
    expect(await readFile(journal, 'utf8')).toBe('damaged\n');
  });

  it('keeps the earlier run as long as the new one has not begun', async () => {
    const first = await go();
    const controller = new AbortController();
    const stop = go({}, { restart: true, report: () => controller.abort(), signal: controller.signal });
    await expect(stop).rejects.toMatchObject({ code: 'interrupted' });
    expect((await readLog({ out: first.out })).status).toBe('published');
  });
});

describe('run refuses', () => {
  it('a dense model that gives no numbers', async () => {
    const file = at('models/fledgling/model.safetensors');
    const bytes = await readFile(file);
    // The file ends in float32 values: a NaN in the last tensor, which every token passes through.
    bytes.writeUInt32LE(0x7fc00000, bytes.length - 4);
    await writeFile(file, bytes);
    await expect(go()).rejects.toThrow(/perplexity of NaN/);
  });

  it('an output that exists and is not its own', async () => {
    await expect(go({ out: at('models') })).rejects.toMatchObject({ code: 'usage' });
    await expect(go({ out: at('models') }, { restart: true })).rejects.toMatchObject({ code: 'usage' });
  });

  it('to resume under another recipe, naming the field', async () => {
    const controller = new AbortController();
    const report = (event: Event) => event.type === 'baseline' && controller.abort();
    await expect(go({}, { report, signal: controller.signal })).rejects.toMatchObject({ code: 'interrupted' });
    await expect(go({ steps: [{ do: 'prune', sparsity: 0.6, waves: 3 }] }, { resume: true })).rejects.toThrow(
      /steps\.0\.sparsity was 0\.5, now it is 0\.6/,
    );
    await expect(go()).rejects.toThrow(/interrupted run/);
    expect((await go({}, { restart: true })).reached).toBe(true);
  });

  it('to go on over a base that has changed', async () => {
    const controller = new AbortController();
    const report = (event: Event) => event.type === 'wave' && controller.abort();
    await expect(go({}, { report, signal: controller.signal })).rejects.toMatchObject({ code: 'interrupted' });
    await flipLastBit(at('models/fledgling/model.safetensors'));
    await expect(go({}, { resume: true })).rejects.toMatchObject({ code: 'mismatch' });
  });

  it.each(['calibration.txt', 'config.json'])('to go on after %s has changed', async (name) => {
    const controller = new AbortController();
    const report = (event: Event) => event.type === 'wave' && controller.abort();
    await expect(go({}, { report, signal: controller.signal })).rejects.toMatchObject({ code: 'interrupted' });
    const file = at('models/fledgling', name);
    const text = await readFile(file, 'utf8');
    await writeFile(file, name === 'config.json' ? text.replace('{', '{"license":"changed",') : `${text} more`);
    await expect(go({}, { resume: true })).rejects.toMatchObject({ code: 'mismatch' });
    await writeFile(file, text);
    expect((await go({}, { resume: true })).reached).toBe(true);
  });

  it('to go on from a layer that is not what the journal says', async () => {
    const controller = new AbortController();
    const report = (event: Event) => event.type === 'wave' && controller.abort();
    await expect(go({}, { report, signal: controller.signal })).rejects.toMatchObject({ code: 'interrupted' });
    await flipLastBit((await objectsOfWave(at('out/half'), 1))[0]!);
    await expect(go({}, { resume: true })).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringContaining('wave 1'),
    });
  });

  it('a journal of a newer version, until it is told to begin anew', async () => {
    const { out } = await go();
    const before = contentsOf(out);
    const journal = await Journal.open(stateFolder(out).journal, { repair: true });
    await journal.append({ type: 'quantum-leap', far: true });
    for (const options of [{}, { resume: true }]) {
      const error = await go({}, options).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'unsupported', message: expect.stringContaining('"quantum-leap"') });
      expect((error as BirdboneError).suggestions.join()).toContain('--restart');
    }
    expect((await planRun({ recipe: recipe(), device: 'cpu' })).obstacle).toContain('quantum-leap');
    expect((await planRun({ recipe: recipe(), device: 'cpu', restart: true })).obstacle).toBeUndefined();
    expect(contentsOf(out)).toEqual(before);
    expect((await go({}, { restart: true })).reached).toBe(true);
    expect(contentsOf(out)).toEqual(before);
  });

  it('to replace the model that it is made from', async () => {
    await go();
    const refused = go({ model: at('out/half') }, { restart: true });
    await expect(refused).rejects.toMatchObject({ code: 'usage' });
    expect(await verifyFolder(at('out/half'))).toMatchObject({ matches: true });
  });

  it('a state folder with files of somebody else, and leaves them alone', async () => {
    await mkdir(at('project/objects'), { recursive: true });
    await writeFile(at('project/objects/mine.txt'), 'mine');
    await expect(go({}, { state: at('project') })).rejects.toMatchObject({ code: 'usage' });
    await expect(collectGarbage(stateFolder(at('out/half'), at('project')), { dryRun: false })).rejects.toMatchObject({
      code: 'usage',
    });
    expect(await readFile(at('project/objects/mine.txt'), 'utf8')).toBe('mine');
  });

  it('a gate without any text, and a metric without calibration', async () => {
    const magnitude = [{ do: 'prune', metric: 'magnitude', sparsity: 0.5 }];
    await expect(go({ calibration: undefined, maxDrop: 0.03, steps: magnitude })).rejects.toThrow(/gate needs text/);
    await expect(go({ calibration: undefined })).rejects.toThrow(/calibration text/);
    const result = await go({ calibration: undefined, evaluation: {}, steps: magnitude });
    expect(result.baseline).toEqual({});
  });
});

import { describe, expect, it } from 'vitest';
import { type Checkpoint, openCheckpoint, overlay, undo } from '../../src/checkpoint/index.js';
import { hashCheckpoint } from '../../src/manifest/index.js';
import { openModel } from '../../src/model/index.js';
import { historyOf, Journal, stateFolder } from '../../src/state/index.js';
import { checkDigests, expectedDigests } from '../../src/waves/expected-digests.js';
import { openLayers } from '../../src/waves/session.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';

inWorkplaces();

describe('the digests that waves recorded', () => {
  it('are those of the model seen through them, and of no other', async () => {
    const { out } = await go({}, {});
    const folder = stateFolder(out);
    const past = historyOf((await Journal.open(folder.journal, { repair: false })).records);
    const layers = await openLayers(folder, past);
    const { checkpoint } = await openModel(at('models/fledgling'));
    const hashes = await hashCheckpoint(overlay(checkpoint, layers));
    expect(expectedDigests(layers).size).toBeGreaterThan(5);
    checkDigests(hashes, layers);
    const earlier = await hashCheckpoint(overlay(checkpoint, layers.slice(0, -1)));
    expect(() => checkDigests(earlier, layers)).toThrow(/not what wave 3 made of it/);
    await checkpoint.close();
    expect(() => checkDigests({ ...hashes, tensors: new Map() }, layers)).toThrow(/missing/);
  });

  it('name the tensor that is read differently, and stop there', async () => {
    const { out } = await go();
    const folder = stateFolder(out);
    const layers = await openLayers(folder, historyOf((await Journal.open(folder.journal, { repair: false })).records));
    const { checkpoint } = await openModel(at('models/fledgling'));
    const [changed] = expectedDigests(layers).keys();
    const flipped: Checkpoint = {
      ...checkpoint,
      async read(name, range) {
        const bytes = await checkpoint.read(name, range);
        // Every element, since the waves have removed some of them.
        if (name === changed) for (let index = 0; index < bytes.length; index += 1) bytes[index]! ^= 1;
        return bytes;
      },
    };
    const hashes = await hashCheckpoint(overlay(flipped, layers));
    expect(() => checkDigests(hashes, layers)).toThrow(expect.objectContaining({ code: 'mismatch', tensor: changed }));
    await checkpoint.close();
  });

  it('lead back from what is published to every state, down to the base, without the base', async () => {
    const { out } = await go();
    const folder = stateFolder(out);
    const layers = await openLayers(folder, historyOf((await Journal.open(folder.journal, { repair: false })).records));
    const base = await openCheckpoint(at('models/fledgling'));
    const published = await openCheckpoint(out);
    for (const kept of layers.keys()) {
      const back = await hashCheckpoint(undo(published, layers.slice(kept)));
      const forward = await hashCheckpoint(overlay(base, layers.slice(0, kept)));
      expect(back.tensors).toEqual(forward.tensors);
    }
    await base.close();
    await published.close();
  });
});

import type { Passage } from '../corpus/index.js';
import { scorePassages } from '../evaluation/index.js';
import { disposeBlock, headSections, loadBlock, loadHead, type Model, openModel } from '../model/index.js';
import { seededRandom } from '../random.js';
import { type Device, disposeMatrix, openDevice } from '../tensor/index.js';
import { type Engine, type ProbeSetup, secondsOf } from './engine.js';

/**
 * Opens a model in birdbone's own forward pass. Its weights come block by block in each pass, since it evaluates models larger than
 * memory; so a prompt's time has their reading in it, and nothing generates token by token. Throws as `openModel` and `openDevice`.
 */
export async function openBirdbone(setup: ProbeSetup): Promise<Engine> {
  const { threads } = setup;
  const device = await openDevice(setup.device, threads === undefined ? {} : { threads });
  try {
    const model = await openModel(setup.model);
    const passages = randomPassages(model, setup);
    return {
      description: device.description,
      async round() {
        const loadSeconds = await secondsOf(() => loadOnce(setup.model, device));
        const seconds = await secondsOf(() => scorePassages(model, passages, { device }));
        return { loadSeconds, promptTokensPerSecond: (setup.windows * setup.context) / seconds };
      },
      async close() {
        await model.checkpoint.close();
        await device.close();
      },
    };
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** Opens the model and has every block and every part of the head on the device, one at a time. */
async function loadOnce(path: string, device: Device): Promise<void> {
  const model = await openModel(path);
  try {
    for (const { index } of model.decoder.blocks) {
      const block = await loadBlock(model, index, device, { asStored: true });
      // A GPU takes copies in later: reading the last norm back waits for them.
      const gain = [...block.norms.values()].at(-1)?.gain;
      if (gain !== undefined) await device.read(gain);
      disposeBlock(block);
    }
    for (const section of headSections([model], device)) disposeMatrix(await loadHead(model, device, section));
  } finally {
    await model.checkpoint.close();
  }
}

/** Tokens drawn evenly from the vocabulary: speed does not depend on what a text says. */
function randomPassages({ decoder }: Model, { windows, context, seed }: ProbeSetup): Passage[] {
  const random = seededRandom(seed);
  return Array.from({ length: windows }, () => ({
    ids: Int32Array.from({ length: context }, () => random.below(decoder.vocabulary)),
  }));
}

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { disposeBlock, loadBlock, openModel } from '../../src/model/index.js';
import { openDevice } from '../../src/tensor/index.js';
import { PythonPeer } from '../python-peer.js';
import { markdownTable } from '../record.js';
import { writeSyntheticMistral } from '../synthetic-mistral.js';
import { interleave, secondsOf } from '../timing.js';
import { type PartOptions, partOf } from './part.js';

const ROUNDS = 7;

interface Loading {
  /** Of the block as it is stored, in bf16. */
  readonly bytes: number;
  readonly bytesPerSecond: number;
  readonly numpyBytesPerSecond: number;
  /** Of the times of pairs; above 1 is faster than numpy. */
  readonly ratio: number;
}

export default partOf('Loading a block against numpy', loading, renderLoading);

/**
 * One block of Mistral-7B from the page cache to float32 on the CPU device, against numpy doing the same: reading each tensor and
 * shifting its bf16 up. Ours also checks the headers anew, as the peer parses them.
 */
async function loading({ threads }: PartOptions): Promise<Loading> {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-loading-'));
  const numpy = new PythonPeer('loading.py');
  const device = await openDevice('cpu', threads === undefined ? {} : { threads });
  try {
    await writeSyntheticMistral(folder, { blocks: 1 });
    const shards = (await readdir(folder)).filter((name) => name.endsWith('.safetensors'));
    const request = `load ${shards.map((name) => path.join(folder, name)).join(' ')}`;
    let bytes = 0;
    const ours = () =>
      secondsOf(async () => {
        const model = await openModel(folder);
        disposeBlock(await loadBlock(model, 0, device));
        const stored = [...model.checkpoint.tensors.values()].filter(({ name }) => name.startsWith('model.layers.'));
        bytes = stored.reduce((sum, { byteLength }) => sum + byteLength, 0);
        await model.checkpoint.close();
      });
    const found = await interleave(ROUNDS, ours, async () => Number(await numpy.ask(request)));
    return {
      bytes,
      bytesPerSecond: bytes / found.ours,
      numpyBytesPerSecond: bytes / found.theirs,
      ratio: found.ratio,
    };
  } finally {
    numpy.stop();
    await device.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function renderLoading({ bytes, bytesPerSecond, numpyBytesPerSecond, ratio }: Loading): string {
  const gigabytes = (rate: number) => `${(rate / 1e9).toFixed(2)} GB/s`;
  return markdownTable(
    ['one block, bf16', 'ours', 'numpy', 'ratio'],
    [[`${(bytes / 1e6).toFixed(0)} MB`, gigabytes(bytesPerSecond), gigabytes(numpyBytesPerSecond), ratio.toFixed(2)]],
  );
}

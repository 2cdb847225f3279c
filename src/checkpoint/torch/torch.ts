import { BirdboneError } from '../../errors.js';
import type { ByteSource } from '../files/bytes.js';
import { unreadable } from '../files/failure.js';
import { shellWord } from '../files/quote.js';
import type { CheckpointFormat } from '../format.js';
import { readLegacyFile } from './legacy-file.js';
import { claimOf, SIGNATURE_BYTES } from './signatures.js';
import { readTorchArchive } from './torch-archive.js';
import { checkpointOfTorch, FORMAT_NAME, type LoadedFile } from './torch-checkpoint.js';
import type { Complaints } from './torch-values.js';

const TORCH_FILE = /\.(?:pt|pth|bin|th|ckpt|pkl|pickle)$/;

/**
 * What `torch.save` writes: a zip archive, or before torch 1.6 several pickles and then the storages. A pickle is a program
 * for Python; here its opcodes put plain data together, and whatever else it names is refused (see `WeightsRuntime`).
 */
export const torch: CheckpointFormat = {
  name: FORMAT_NAME,
  recognises(head, path) {
    const claim = claimOf(head);
    return claim === 'zip' || claim === 'pickle' || TORCH_FILE.test(path);
  },
  open: async (file) => checkpointOfTorch(loadTorch(file)),
};

/** What a torch file says and where its storages are; by its bytes, whatever its name. */
function loadTorch(file: ByteSource): LoadedFile {
  const complain = complaintsAbout(file.path);
  const claim = claimIn(file);
  if (typeof claim === 'object') complain.refuse(`it is ${claim.other}`);
  return claim === 'zip' ? readTorchArchive(file, complain) : readLegacyFile(file, complain);
}

function claimIn(file: ByteSource): ReturnType<typeof claimOf> {
  const head = new Uint8Array(Math.min(SIGNATURE_BYTES, file.size));
  file.readSync(0, head);
  return claimOf(head);
}

function complaintsAbout(path: string): Complaints {
  return {
    fail: (problem) => {
      throw unreadable(path, problem);
    },
    refuse: (problem) => {
      throw new BirdboneError('unsupported', `Cannot read ${path}: ${problem}.`, {
        file: path,
        suggestions: [
          `See what it would do when loaded in Python: birdbone scan ${shellWord(path)}`,
          'If you trust where it comes from, load it in Python and save its tensors alone, as safetensors.',
        ],
      });
    },
  };
}

import type { Checkpoint } from '../../../src/checkpoint/checkpoint.js';
import { memorySource } from '../../../src/checkpoint/files/bytes.js';
import { torch } from '../../../src/checkpoint/torch/torch.js';
import { surveyTorchFile } from '../../../src/checkpoint/torch/torch-survey.js';
import { BrokenInvariant, type Verdict } from '../fuzz-format.js';
import { checkTensors, refusedWhileReading, watchedBytes } from '../opened.js';
import { checkRefusal } from '../refusal.js';

const PATH = '/fuzz/model.pt';

/** Bits of one element of torch's types, by what they are called here. */
const BITS: Readonly<Record<string, number>> = {
  ...{
    BOOL: 8,
    U8: 8,
    I8: 8,
    F8_E5M2: 8,
    F8_E4M3: 8,
    F8_E8M0: 8,
    I16: 16,
    U16: 16,
    F16: 16,
    BF16: 16,
    I32: 32,
    U32: 32,
  },
  ...{ F32: 32, I64: 64, U64: 64, F64: 64, C64: 64 },
};

/**
 * What must hold of any bytes that are opened as a torch file. Storages are checked when they are read, so a refusal may come
 * then too. Tensors may overlap here: views of one storage do. The survey of `scan` never throws.
 */
export async function checkTorch(bytes: Uint8Array): Promise<Verdict> {
  const source = watchedBytes(PATH, bytes);
  let checkpoint: Checkpoint;
  try {
    checkpoint = await torch.open(source);
  } catch (error) {
    checkRefusal(error, PATH);
    surveyTorchFile(memorySource(PATH, bytes));
    return 'refused';
  }
  const refusal = await refusedWhileReading(() => checkTensors(checkpoint, (dtype) => ({ bits: BITS[dtype]! })));
  await checkpoint.close();
  checkSurvey(bytes);
  if (refusal === undefined) return 'opened';
  checkRefusal(refusal, PATH);
  return 'refused';
}

/** `scan` must see in an opened file what opening saw: pickles that end well, and no name that is not allowed. */
function checkSurvey(bytes: Uint8Array): void {
  for (const { problem, globals } of surveyTorchFile(memorySource(PATH, bytes))?.pickles ?? []) {
    if (problem !== undefined) throw new BrokenInvariant('scan finds a broken pickle in a file that opens');
    const named = globals.find(({ allowed }) => !allowed);
    if (named !== undefined) throw new BrokenInvariant(`scan finds ${named.module}.${named.name} in a file that opens`);
  }
}

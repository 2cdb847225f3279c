import type { Checkpoint } from '../../../src/checkpoint/checkpoint.js';
import { torch } from '../../../src/checkpoint/torch/torch.js';
import type { Verdict } from '../fuzz-format.js';
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
 * then too. Tensors may overlap here: views of one storage do.
 */
export async function checkTorch(bytes: Uint8Array): Promise<Verdict> {
  const source = watchedBytes(PATH, bytes);
  let checkpoint: Checkpoint;
  try {
    checkpoint = await torch.open(source);
  } catch (error) {
    checkRefusal(error, PATH);
    return 'refused';
  }
  const refusal = await refusedWhileReading(() => checkTensors(checkpoint, (dtype) => ({ bits: BITS[dtype]! })));
  await checkpoint.close();
  if (refusal === undefined) return 'opened';
  checkRefusal(refusal, PATH);
  return 'refused';
}

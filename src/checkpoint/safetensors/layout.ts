import { unreadable } from '../files/failure.js';
import { quoted } from '../files/quote.js';
import type { SafetensorsHeader } from './header.js';

export interface DataRange {
  readonly path: string;
  /** Where the data starts in the file. */
  readonly dataStart: number;
  /** The file's size. */
  readonly size: number;
}

/**
 * Refuses tensors that overlap, leave a hole, or do not end where the file ends. Bytes that no tensor owns could hold anything,
 * and a byte that two own could be changed in one by way of the other. Tensors without bytes may share an offset, as in the
 * reference.
 */
export function checkLayout(
  { tensors, starts }: Pick<SafetensorsHeader, 'tensors' | 'starts'>,
  { path, dataStart, size }: DataRange,
): void {
  const inFileOrder = [...starts].sort(
    ([leftName, left], [rightName, right]) =>
      left - right || tensors.get(leftName)!.byteLength - tensors.get(rightName)!.byteLength,
  );
  let end = dataStart;
  for (const [name, offset] of inFileOrder) {
    if (offset !== end) {
      const problem =
        offset < end ? `overlaps the one before it by ${end - offset} bytes` : `leaves a hole of ${offset - end} bytes`;
      throw unreadable(path, `tensor ${quoted(name)} ${problem}`, { tensor: name });
    }
    end += tensors.get(name)!.byteLength;
    if (end > size) {
      throw unreadable(path, `tensor ${quoted(name)} ends at byte ${end}, and the file has ${size}`, { tensor: name });
    }
  }
  if (end !== size) throw unreadable(path, `its last tensor ends at byte ${end}, and the file has ${size}`);
}

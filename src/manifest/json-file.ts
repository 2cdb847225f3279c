import { constants, open } from 'node:fs/promises';
import { BirdboneError } from '../errors.js';

/**
 * The bytes of a JSON file and what they say, or undefined when there is no such file. Throws `unreadable` for a file that is
 * not regular, has more than `maxBytes`, or is not JSON in UTF-8.
 */
export async function readJsonFile(
  file: string,
  maxBytes: number,
): Promise<{ readonly bytes: Uint8Array; readonly value: unknown } | undefined> {
  const bytes = await readBounded(file, maxBytes);
  if (bytes === undefined) return undefined;
  try {
    return { bytes, value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? 'it is not JSON' : 'it is not UTF-8';
    throw unreadable(file, reason, cause);
  }
}

async function readBounded(file: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    // Without O_NONBLOCK, opening a FIFO waits for a writer that may never come.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw unreadable(file, 'it is not a regular file');
      if (stat.size > maxBytes) throw unreadable(file, `it has ${stat.size} bytes; at most ${maxBytes} are read`);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof BirdboneError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    // ENOTDIR: the "folder" is a file, so nothing can lie in it.
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw unreadable(file, (cause as Error).message, cause);
  }
}

function unreadable(file: string, reason: string, cause?: unknown): BirdboneError {
  return new BirdboneError('unreadable', `Cannot read ${file}: ${reason}.`, { file, cause });
}

import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../../errors.js';

/** Files that people write by hand; git itself refuses a .gitattributes of 100 MB. */
const MAX_TEXT_BYTES = 1024 * 1024;

/**
 * The text of a file of the repository, one character a byte, so that what is no UTF-8 stays as it is; undefined where there
 * is none. Throws `unsupported` for what is not a plain file within plain folders (a link may lead out of the repository),
 * for UTF-16, which git does not read either, and for more than a megabyte.
 */
export async function existingFile(root: string, name: string): Promise<string | undefined> {
  const parts = name.split('/');
  for (const depth of parts.keys()) {
    const part = path.join(root, ...parts.slice(0, depth + 1));
    const status = await lstat(part).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (status === undefined) return undefined;
    const isLast = depth === parts.length - 1;
    if (!(isLast ? status.isFile() : status.isDirectory())) {
      throw unusable(part, status.isSymbolicLink() ? 'is a symbolic link' : `is no ${isLast ? 'file' : 'folder'}`);
    }
    if (isLast && status.size > MAX_TEXT_BYTES) throw unusable(part, `has over ${MAX_TEXT_BYTES} bytes`);
  }
  const text = await readFile(path.join(root, name), 'latin1');
  if (text.includes('\0')) throw unusable(path.join(root, name), 'is UTF-16 or binary, which git cannot read');
  return text;
}

function unusable(file: string, problem: string): BirdboneError {
  return new BirdboneError('unsupported', `${file} ${problem}, so it was left as it is.`, {
    file,
    suggestions: ['Replace it with a plain file or folder, as UTF-8, then run birdbone init again.'],
  });
}

import { stat } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../../errors.js';

/** A kind of file, told by the ending of its name. */
export interface FileKind<Format extends string> {
  /** As in "is not a score file". */
  readonly name: string;
  readonly flag: string;
  readonly formats: readonly Format[];
}

/**
 * The format that the name of a file to be written asks for, once its folder is known to be there: hours of work must not end at a
 * folder that is not. Throws `usage` for another ending, or no folder.
 */
export async function outputFileFormat<Format extends string>(file: string, kind: FileKind<Format>): Promise<Format> {
  const extension = path.extname(file).slice(1).toLowerCase();
  const format = kind.formats.find((known) => known === extension);
  if (format === undefined) {
    const endings = kind.formats.map((known) => `.${known}`).join(' or ');
    throw new BirdboneError('usage', `"${file}" is not a ${kind.name} file. Its name must end in ${endings}.`, {
      suggestions: [`${kind.flag} ${path.basename(file, path.extname(file))}.${kind.formats[0]}`],
    });
  }
  const folder = path.dirname(path.resolve(file));
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return format;
  throw new BirdboneError('usage', `"${file}" cannot be written: ${folder} is no folder.`, {
    suggestions: [`Make it first: mkdir -p ${folder}`],
  });
}

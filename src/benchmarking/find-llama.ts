import { createRequire } from 'node:module';
import path from 'node:path';
import { BirdboneError } from '../errors.js';

const PACKAGE = 'node-llama-cpp';

/**
 * The module that node-llama-cpp starts from: in `folder` (or above it) where one is given, else as the working directory or birdbone
 * itself would find it; undefined where it is not installed.
 */
export function findLlama(folder: string | undefined): string | undefined {
  const places =
    folder === undefined ? [path.join(process.cwd(), 'here'), import.meta.url] : [path.resolve(folder, 'here')];
  for (const place of places) {
    try {
      return createRequire(place).resolve(PACKAGE);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return undefined;
}

export function noLlama(folder: string | undefined): BirdboneError {
  const place = folder === undefined ? '' : ` in ${folder}`;
  return new BirdboneError('device', `llama.cpp cannot be measured: the package ${PACKAGE} is not installed${place}.`, {
    suggestions: [
      `Install it in this folder: npm install --no-save ${PACKAGE}@3`,
      'Say in which folder it is: --llama-cpp DIR',
      'Measure birdbone alone: --engine birdbone',
    ],
  });
}

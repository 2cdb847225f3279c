import path from 'node:path';
import { z } from 'zod';
import { BirdboneError } from '../errors.js';
import type { DvcHashName } from './dvc-hash.js';
import { parseYaml } from './yaml-file.js';

/** What a .dvc file says of one file or folder. */
export interface DvcOutput {
  /** Relative to the top of the repository, with `/`; it may leave it, by `..`. */
  readonly path: string;
  /** In hex; of a folder's listing when it ends in `.dir`. Undefined where DVC has recorded none, or another kind. */
  readonly md5?: string;
  readonly hash: DvcHashName;
  /** In bytes; of all files of a folder. */
  readonly size?: number;
}

const count = z.number().int().nonnegative();
const output = z.object({
  path: z.string().regex(/^[^\0]+$/),
  md5: z
    .string()
    .regex(/^[0-9a-f]{32}(?:\.dir)?$/)
    .optional(),
  hash: z.string().optional(),
  size: count.optional(),
  nfiles: count.optional(),
});
const pointer = z.object({
  outs: z.array(output).min(1),
  wdir: z
    .string()
    .regex(/^[^\0]*$/)
    .optional(),
});

/**
 * What a .dvc file tracks. `name` is the file's path from the top of the repository, from which its outputs are named.
 * Throws `unreadable` for what is no YAML, or not what DVC writes. Source: the ".dvc Files" page of DVC's user guide.
 */
export async function dvcPointer(text: string, name: string): Promise<DvcOutput[]> {
  const parsed = pointer.safeParse(await parseYaml(text, name));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.') || 'it';
    throw new BirdboneError('unreadable', `${name} is no .dvc file: ${where}: ${issue?.message ?? 'not allowed'}.`, {
      file: name,
      suggestions: ['Write it anew: dvc add, or take it from git: git checkout.'],
    });
  }
  const { outs, wdir = '.' } = parsed.data;
  return outs.map(({ path: target, md5, hash, size }) => ({
    path: isElsewhere(target) ? target : path.posix.join(path.posix.dirname(name), wdir, target),
    hash: hash === 'md5' ? 'md5' : 'md5-dos2unix',
    ...(md5 !== undefined && { md5 }),
    ...(size !== undefined && { size }),
  }));
}

/** True for an output outside of the repository: another machine's, or an absolute path. */
export function isElsewhere(target: string): boolean {
  return /^(?:[a-z][a-z0-9+.-]+:\/\/|[a-zA-Z]:[\\/]|\/|\.\.(?:\/|$))/.test(target);
}

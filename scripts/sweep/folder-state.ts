import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import path from 'node:path';

/** What is left out of a comparison of contents: it tells when things happened, and how often they were tried. */
const TELLS_TIME = /journal\.jsonl$/;

/** Every file and folder under the given ones, relative to `root`, with a digest of each file's bytes. */
export function contentsOf(root: string, parts: readonly string[] = ['.']): Record<string, string> {
  const contents: Record<string, string> = {};
  const visit = (name: string): void => {
    const full = path.join(root, name);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory()) {
      contents[name] = 'folder';
      for (const child of readdirSync(full).sort()) visit(path.join(name, child));
    } else {
      const digest = createHash('sha256').update(readFileSync(full)).digest('hex');
      contents[name] = TELLS_TIME.test(name) ? 'a journal' : digest;
    }
  };
  for (const part of parts) visit(part);
  return contents;
}

/** One digest over everything under the given files and folders. */
export function digestOf(root: string, parts: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify(contentsOf(root, parts)))
    .digest('hex');
}

/** Makes a folder a copy of another, times included. */
export function resetFolder(to: string, from: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
}

/** Names that one listing has and another lacks, in words; undefined when they agree. */
export function differenceOf(found: Record<string, string>, expected: Record<string, string>): string | undefined {
  const more = Object.keys(found).filter((name) => !(name in expected));
  const less = Object.keys(expected).filter((name) => !(name in found));
  const changed = Object.keys(found).filter((name) => name in expected && found[name] !== expected[name]);
  if (more.length + less.length + changed.length === 0) return undefined;
  const list = (what: string, names: string[]) =>
    names.length === 0 ? '' : `${what} ${names.slice(0, 3).join(', ')}; `;
  return `${list('there are also', more)}${list('missing:', less)}${list('other bytes:', changed)}`;
}

/** Temporary files of durable writes (src/checkpoint/files/durable.ts), by whatever they will be called. */
const TEMPORARY = /\.tmp-[0-9a-f]+$/;
const TWO_DAYS_SECONDS = 2 * 24 * 3600;

/** Makes leftovers look as if the command after the blow came days later: younger ones might still be somebody's. */
export function ageTemporaries(root: string): void {
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    const then = Date.now() / 1000 - TWO_DAYS_SECONDS;
    if (TEMPORARY.test(name)) utimesSync(path.join(root, name), then, then);
  }
}

/**
 * What a build was made from and what it made, as two digests: `npm ci`, `npm test` and `npm run check` each build, and only the first
 * of them has anything to do. Times of files say nothing after a checkout, so contents are compared, the results' too.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { globSync } from 'tinyglobby';

const RECORD = 'dist/.built';
const INPUTS = [
  'src/**',
  'scripts/*.mjs',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  // What npm has installed, version by version.
  'node_modules/.package-lock.json',
];
const OUTPUTS = ['dist/**', 'oclif.manifest.json', 'docs/commands.md'];

/** Whether everything that a build makes is there, and is what it would make again. */
export function isBuilt(root) {
  const record = path.join(root, RECORD);
  return existsSync(record) && readFileSync(record, 'utf8') === recordOf(root);
}

/** To be called when everything has been made. */
export function recordBuild(root) {
  writeFileSync(path.join(root, RECORD), recordOf(root));
}

/** Makes the results of a build newer than its sources, for whoever goes by that. */
export function touchBuild(root) {
  const now = new Date();
  for (const file of filesOf(root, OUTPUTS)) utimesSync(path.join(root, file), now, now);
}

function recordOf(root) {
  return `${JSON.stringify({ inputs: digestOf(root, INPUTS), outputs: digestOf(root, OUTPUTS) })}\n`;
}

function digestOf(root, patterns) {
  const hash = createHash('sha256');
  for (const file of filesOf(root, patterns)) {
    const bytes = readFileSync(path.join(root, file));
    hash.update(`${file}\0${bytes.byteLength}\0`).update(bytes);
  }
  return hash.digest('hex');
}

function filesOf(root, patterns) {
  return globSync(patterns, { cwd: root, dot: true, ignore: [RECORD] }).sort();
}

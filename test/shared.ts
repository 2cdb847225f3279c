import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const shared = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../shared');

/** Why a test that needs the real checkpoints cannot run here; undefined when it can. */
export const sharedMissing = existsSync(path.join(shared, 'models'))
  ? undefined
  : 'no ../shared/models beside the checkout';

export function sharedModel(name: string): string {
  return path.join(shared, 'models', name);
}

export function sharedData(...parts: string[]): string {
  return path.join(shared, 'data', ...parts);
}

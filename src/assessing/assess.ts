import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type FileKind, outputFileFormat, writeFileDurably } from '../checkpoint/index.js';
import { type Calibration, readCalibration } from '../corpus/index.js';
import { assessDamage, type Damage, healingQueue } from '../damage/index.js';
import { silent } from '../events.js';
import { DEFAULT_MEMORY_BYTES, loadTokenizer } from '../model/index.js';
import { page, sheet } from '../pictures/index.js';
import { openDevice } from '../tensor/index.js';
import { damageCsv, damageJson } from './damage-file.js';
import { damagePicture } from './damage-picture.js';
import { type OpenedModels, openModels } from './opened.js';
import type { AssessHeader, AssessOptions, AssessResult } from './options.js';
import { readRowClusters } from './row-clusters.js';

const DAMAGE_FILE: FileKind<'json' | 'csv'> = { name: 'damage', flag: '--out', formats: ['json', 'csv'] };
const PICTURE_FILE: FileKind<'svg' | 'html'> = { name: 'picture', flag: '--picture', formats: ['svg', 'html'] };

/**
 * Measures where compression hurt a model, ranks what to heal, and writes and draws it where that is asked for. Throws `usage` before
 * any work is done, and as `assessDamage` does.
 */
export async function assess(options: AssessOptions): Promise<AssessResult> {
  const { out, picture, calibration } = options;
  if (out !== undefined) await outputFileFormat(out, DAMAGE_FILE);
  if (picture !== undefined) await outputFileFormat(picture, PICTURE_FILE);
  const models = await openModels(options);
  try {
    const tokenizer = await loadTokenizer(models.folder);
    const { maxContext } = models.base.decoder;
    const text = await readCalibration(calibration.file, tokenizer, { ...calibration, maxContext });
    const clusters = options.clusters === undefined ? undefined : await readRowClusters(options.clusters, models.base);
    const header: AssessHeader = {
      ...models.names,
      text: { ...text.source, windows: text.passages.length, context: text.context },
    };
    const files = { ...(out !== undefined && { out }), ...(picture !== undefined && { picture }) };
    if (options.dryRun) return { ...header, ...files };
    const damage = await measure(models, { text, clusters }, options);
    const result = { ...header, damage, queue: healingQueue(damage) };
    await write(result, options);
    return { ...result, ...files };
  } finally {
    await models.close();
  }
}

async function measure(
  { base, now }: OpenedModels,
  { text, clusters }: { readonly text: Calibration; readonly clusters: ReadonlyMap<string, Int32Array> | undefined },
  options: AssessOptions,
): Promise<Damage> {
  const { threads, memoryBytes = DEFAULT_MEMORY_BYTES, report = silent, signal } = options;
  const device = await openDevice(options.device ?? 'auto', threads === undefined ? {} : { threads });
  const spillFolder = await mkdtemp(path.join(tmpdir(), 'birdbone-damage-'));
  try {
    for (const message of [...device.notices, ...(text.notices ?? [])]) report({ type: 'notice', message });
    const work = { device, clusters, report, signal, memoryBytes, spillFolder };
    return await assessDamage(base, now, text.passages, work);
  } finally {
    await rm(spillFolder, { recursive: true });
    await device.close();
  }
}

async function write(result: Required<Pick<AssessResult, 'damage' | 'queue'>> & AssessHeader, options: AssessOptions) {
  const { out, picture } = options;
  if (out !== undefined) {
    const isCsv = out.toLowerCase().endsWith('.csv');
    await writeFileDurably(out, isCsv ? damageCsv(result) : damageJson(result));
  }
  if (picture !== undefined) {
    const drawn = await damagePicture(result);
    await writeFileDurably(picture, picture.toLowerCase().endsWith('.svg') ? sheet(drawn) : page(drawn));
  }
}

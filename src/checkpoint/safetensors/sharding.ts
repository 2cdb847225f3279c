import type { TensorInfo } from '../checkpoint.js';
import { sortNames } from '../tensor-info.js';

const SINGLE_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

export interface Shard {
  readonly file: string;
  readonly infos: readonly TensorInfo[];
}

/**
 * The tensors in name order, cut into files of at most `maxShardBytes` of them; a larger tensor has a file of its own. One
 * file is called model.safetensors, several model-00001-of-0000N.safetensors, as transformers names them.
 */
export function splitIntoShards(infos: readonly TensorInfo[], maxShardBytes: number): Shard[] {
  const byName = new Map(infos.map((info) => [info.name, info]));
  const groups: TensorInfo[][] = [[]];
  let groupBytes = 0;
  for (const name of sortNames([...byName.keys()])) {
    const info = byName.get(name)!;
    if (groupBytes > 0 && groupBytes + info.byteLength > maxShardBytes) {
      groups.push([]);
      groupBytes = 0;
    }
    groups.at(-1)!.push(info);
    groupBytes += info.byteLength;
  }
  if (groups.length === 1) return [{ file: SINGLE_FILE, infos: groups[0]! }];
  const digits = (number: number) => String(number).padStart(5, '0');
  return groups.map((group, position) => ({
    file: `model-${digits(position + 1)}-of-${digits(groups.length)}.safetensors`,
    infos: group,
  }));
}

/** The text of model.safetensors.index.json, in Hugging Face's layout. */
export function indexText(shards: readonly Shard[]): string {
  const fileOf = new Map<string, string>();
  let totalBytes = 0;
  for (const { file, infos } of shards) {
    for (const { name, byteLength } of infos) {
      fileOf.set(name, file);
      totalBytes += byteLength;
    }
  }
  // Joined by hand: an object would put names that look like numbers first.
  const lines = sortNames([...fileOf.keys()]).map(
    (name) => `    ${JSON.stringify(name)}: ${JSON.stringify(fileOf.get(name))}`,
  );
  return `{\n  "metadata": {\n    "total_size": ${totalBytes}\n  },\n  "weight_map": {\n${lines.join(',\n')}\n  }\n}\n`;
}

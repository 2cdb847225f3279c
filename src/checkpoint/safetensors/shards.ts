import { type Shard, shardedFormat } from '../shards/sharded-format.js';
import { readSafetensorsHeader } from './header.js';
import { checkpointOf, type OpenedFile, safetensors } from './safetensors.js';

/** The index that Hugging Face writes beside shards, and the shards that it names. */
export const safetensorsIndex = shardedFormat<Shard & OpenedFile>({
  name: safetensors.name,
  suffix: '.safetensors',
  async open(file) {
    const header = readSafetensorsHeader(file);
    const infos = [...header.tensors.values()];
    const byteLength = infos.reduce((sum, info) => sum + info.byteLength, 0);
    return { file, header, names: [...header.tensors.keys()], byteLength };
  },
  join: checkpointOf,
});

import type { Checkpoint, TensorInfo } from '../checkpoint.js';
import { noSuchTensor } from '../safetensors/safetensors.js';
import { type Shard, shardedFormat } from '../shards/sharded-format.js';
import { sortNames } from '../tensor-info.js';
import { torch } from './torch.js';

interface TorchShard extends Shard {
  readonly checkpoint: Checkpoint;
}

/** pytorch_model.bin.index.json, and the shards that it names. */
export const torchIndex = shardedFormat<TorchShard>({
  name: torch.name,
  suffix: '.bin',
  async open(file) {
    const checkpoint = await torch.open(file);
    const names = [...checkpoint.tensors.keys(), ...checkpoint.aliases.keys()];
    const infos = [...checkpoint.tensors.values()];
    return { file, checkpoint, names, byteLength: infos.reduce((sum, info) => sum + info.byteLength, 0) };
  },
  join: joinShards,
});

/** One checkpoint over several, whose names differ. Where their metadata disagree, the first one's holds. */
function joinShards(path: string, shards: readonly TorchShard[], notices: readonly string[]): Checkpoint {
  const checkpoints = shards.map(({ checkpoint }) => checkpoint);
  const holders = new Map(shards.flatMap(({ checkpoint, names }) => names.map((name) => [name, checkpoint] as const)));
  const infos = new Map<string, TensorInfo>(checkpoints.flatMap(({ tensors }) => [...tensors]));
  return {
    path,
    format: torch.name,
    tensors: new Map(sortNames([...infos.keys()]).map((name) => [name, infos.get(name)!])),
    aliases: new Map(checkpoints.flatMap(({ aliases }) => [...aliases])),
    metadata: Object.fromEntries(checkpoints.toReversed().flatMap(({ metadata }) => Object.entries(metadata))),
    notices: [...notices, ...checkpoints.flatMap((checkpoint) => checkpoint.notices ?? [])],
    async read(name, range) {
      const holder = holders.get(name);
      if (holder === undefined) throw noSuchTensor(path, name);
      return holder.read(name, range);
    },
    async close() {
      for (const checkpoint of checkpoints) await checkpoint.close();
    },
  };
}

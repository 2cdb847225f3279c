import { type Draft, type Group, mutateDraft, raw, serialize, u64, type Vocabulary } from '../binary-draft.js';
import type { FuzzFormat } from '../fuzz-format.js';
import { mutateBytes } from '../mutate-bytes.js';
import {
  HOSTILE_OPCODES,
  PICKLE_TEXTS,
  type PickledTensor,
  pickleOf,
  stateDict,
  storagesOf,
  TENSORS,
  values,
} from '../pickle-draft.js';
import type { Random } from '../random.js';
import { checkTorch } from './torch-check.js';

/** 0x1950a86a20f9469cfc6c, little-endian. */
const MAGIC = Buffer.from('6cfc9c46f9206aa85019', 'hex');

/** Five pickles and then the storages, each with its number of elements before it (torch/serialization.py, `_legacy_save`). */
function legacyFile(tensors: readonly PickledTensor[]): Draft {
  const storages = storagesOf(tensors);
  const { int, text, long, dict, list } = values;
  return [
    ...pickleOf(long(MAGIC)),
    ...pickleOf(int(1001)),
    ...pickleOf(...dict(text('protocol_version'), int(1001), text('little_endian'), values.true)),
    ...stateDict(tensors),
    ...pickleOf(...list(...[...storages.keys()].map(text))),
    ...[...storages.values()].map(
      ({ elements, bytes }): Group => ({ kind: 'storage', fields: [u64('elements', elements), raw('bytes', bytes)] }),
    ),
  ];
}

const DRAFTS = [legacyFile(TENSORS.slice(0, 1)), legacyFile(TENSORS.slice(0, 4)), legacyFile(TENSORS)];
const SOUND = DRAFTS.map(serialize);
const VOCABULARY: Vocabulary = { groups: HOSTILE_OPCODES, texts: PICKLE_TEXTS };

export const torchLegacy: FuzzFormat = {
  name: 'torch-legacy',
  sound: SOUND,
  mutate(random: Random) {
    if (random.oneIn(6)) return mutateBytes(random.pick(SOUND), random, SOUND);
    let draft: Draft = random.pickEarly(DRAFTS);
    for (let steps = 1 + random.below(3); steps > 0; steps -= 1) draft = mutateDraft(draft, random, VOCABULARY);
    const bytes = serialize(draft);
    return random.oneIn(5) ? mutateBytes(bytes, random, SOUND) : bytes;
  },
  check: checkTorch,
};

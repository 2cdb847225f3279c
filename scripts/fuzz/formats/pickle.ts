import { memorySource } from '../../../src/checkpoint/files/bytes.js';
import { surveyTorchFile } from '../../../src/checkpoint/torch/torch-survey.js';
import { type Draft, mutateDraft, serialize, type Vocabulary } from '../binary-draft.js';
import { BrokenInvariant, type FuzzFormat, type Verdict } from '../fuzz-format.js';
import { mutateBytes } from '../mutate-bytes.js';
import { HOSTILE_OPCODES, PICKLE_TEXTS, pickleOf, stateDict, TENSORS, values } from '../pickle-draft.js';
import type { Random } from '../random.js';
import { checkTorch } from './torch-check.js';

const { int, text, dict, list } = values;
const DRAFTS: readonly Draft[] = [
  pickleOf(int(1)),
  pickleOf(...dict(text('a'), int(1), text('b'), ...list(int(1), text('c')))),
  stateDict(TENSORS.slice(0, 3)),
  [...pickleOf(int(1)), ...pickleOf(text('second'))],
];
const SOUND = DRAFTS.map(serialize);
const VOCABULARY: Vocabulary = { groups: HOSTILE_OPCODES, texts: PICKLE_TEXTS };

/** Pickles of anything, bare in a file, as `scan` surveys them: it goes on where a reader of weights refuses. */
export const pickle: FuzzFormat = {
  name: 'pickle',
  sound: SOUND,
  mutate(random: Random) {
    if (random.oneIn(6)) return mutateBytes(random.pick(SOUND), random, SOUND);
    let draft: Draft = random.pick(DRAFTS);
    for (let steps = 1 + random.below(4); steps > 0; steps -= 1) draft = mutateDraft(draft, random, VOCABULARY);
    const bytes = serialize(draft);
    return random.oneIn(5) ? mutateBytes(bytes, random, SOUND) : bytes;
  },
  /** Opened: surveyed from the first opcode to STOP. None of them is a checkpoint. */
  async check(bytes): Promise<Verdict> {
    if ((await checkTorch(bytes)) === 'opened') throw new BrokenInvariant('a bare pickle was opened as a checkpoint');
    const survey = surveyTorchFile(memorySource('/fuzz/model.pkl', bytes));
    const first = survey?.pickles[0];
    return first !== undefined && first.problem === undefined ? 'opened' : 'refused';
  },
};

import { BirdboneError } from '../errors.js';
import { CONTROL_ACTIONS } from './control-record.js';
import type { JournalRecord } from './journal.js';
import type { TensorAtWave } from './wave-state.js';

type Form = (value: unknown) => boolean;

const isText: Form = (value) => typeof value === 'string';
const isNumber: Form = (value) => typeof value === 'number';
const isWave: Form = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isListOf =
  (form: Form): Form =>
  (value) =>
    Array.isArray(value) && value.every(form);
const hasFields =
  (fields: Readonly<Record<string, Form>>): Form =>
  (value) =>
    isObject(value) && Object.entries(fields).every(([name, form]) => form(value[name]));
const isPlace: Form = (value): value is TensorAtWave =>
  Array.isArray(value) && value.length === 2 && isText(value[0]) && isWave(value[1]);
const isState = hasFields({ wave: isWave, tensors: isListOf(isPlace) });

const isAbsentOr =
  (form: Form): Form =>
  (value) =>
    value === undefined || form(value);

const isForetold = hasFields({ expected: isNumber, low: isNumber, high: isNumber, actual: isNumber });

/** More blocks and kinds than any model has; what plates are called is for src/plates to check against the model. */
const MAX_PLATE_ENTRIES = 100_000;
/** Two levels of names over lists of indices: kind, block, text. */
const MAX_PLATE_DEPTH = 3;

/** Texts in objects in objects, nothing else, and not more of them than there can be. */
const isPlates: Form = (value) => {
  let entries = 0;
  const isPart = (part: unknown, depth: number): boolean => {
    entries += 1;
    if (entries > MAX_PLATE_ENTRIES || depth > MAX_PLATE_DEPTH) return false;
    if (!isObject(part)) return isText(part);
    return !Array.isArray(part) && Object.values(part).every((inner) => isPart(inner, depth + 1));
  };
  return isObject(value) && isPart(value, 0);
};

/** The fields that folding a record of each type relies on. A type that is not here is not known. */
const FORMS: Readonly<Record<string, Readonly<Record<string, Form>>>> = {
  begin: {},
  baseline: { figures: isObject },
  wave: {
    wave: isWave,
    verdict: (value) => value === 'committed' || value === 'rolled-back',
    layers: isListOf(hasFields({ name: isText, sparsity: isNumber })),
    plates: isAbsentOr(isPlates),
    shapes: isAbsentOr((value) => value === 'final'),
    details: isAbsentOr((value) => isObject(value) && Object.values(value).every(isListOf(isObject))),
    removed: isAbsentOr(hasFields({ parameters: isNumber, of: isNumber })),
    blocks: isAbsentOr(hasFields({ errors: isListOf(isNumber) })),
    effectiveness: isAbsentOr(hasFields({ parameters: isNumber })),
    foretold: isAbsentOr(hasFields({ learntFrom: isNumber, blocks: isListOf(isForetold), kl: isAbsentOr(isForetold) })),
    warnings: isAbsentOr(isListOf(hasFields({ series: isText, reason: isText }))),
    selective: isAbsentOr(hasFields({ outcome: isText, culprits: isPlates, measurements: isNumber })),
    stopped: isAbsentOr(hasFields({ tensor: isText })),
    limit: isAbsentOr((value) => value === true),
  },
  control: {
    action: (value) => CONTROL_ACTIONS.some((action) => action === value),
    wave: isWave,
    step: isAbsentOr(isWave),
    target: isAbsentOr(isNumber),
    by: (value) => value === 'request' || value === 'signal',
  },
  decision: { wave: isWave, name: isText, value: isObject },
  finish: { reached: (value) => typeof value === 'boolean', reason: isText },
  rollback: { to: isWave, state: isAbsentOr(isState) },
  tag: { name: isText, state: isState },
  untag: { name: isText },
  measured: { state: isState, figures: isObject },
  publish: {},
  published: { manifest: isAbsentOr(isText) },
  evidence: { files: hasFields({ json: isText, markdown: isText }) },
};

/**
 * Throws `unsupported` for a record of a type that this version does not know, and `unreadable` for one without a field that its
 * type has. A record's digest says that it is as it was written, not that this version would write it so.
 */
export function checkRecord(record: JournalRecord): void {
  if (!Object.hasOwn(FORMS, record.type)) {
    throw refusal(
      'unsupported',
      `Record ${record.seq} of the journal is of the unknown type ${JSON.stringify(record.type)}.`,
    );
  }
  for (const [field, form] of Object.entries(FORMS[record.type]!)) {
    if (form(record[field])) continue;
    throw refusal('unreadable', `Record ${record.seq} of the journal (${record.type}) has no valid field "${field}".`);
  }
}

function refusal(code: 'unsupported' | 'unreadable', message: string): BirdboneError {
  return new BirdboneError(code, message, {
    suggestions: [
      'Use the version of birdbone that wrote it, or a newer one.',
      'Begin anew with this version, over what that one recorded and published: prune --restart',
    ],
  });
}

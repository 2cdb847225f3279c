import { type Deed, type FileOddity, type NamedGlobal, type PlacedSurvey, quoted } from '../checkpoint/index.js';
import { knownHarm } from './dangerous-names.js';
import { type Finding, finding, type RuleId } from './rules.js';

type Survey = Omit<PlacedSurvey, 'member'>;

/** Where the positions of a survey count from. */
interface Place {
  readonly file: string;
  /** As messages name it: "archive/data.pkl", "the pickle at byte 419". */
  readonly name: string;
  readonly member?: string;
  readonly start?: number;
}

/** What is to be said of one pickle, in the order of the file. */
export function pickleFindings(file: string, survey: PlacedSurvey): Finding[] {
  const { member, memberStart } = survey;
  const place: Place = {
    file,
    name: member === '' ? `the pickle at byte ${survey.start}` : quoted(member),
    ...(member !== '' && { member }),
    ...(memberStart !== undefined && { start: memberStart }),
  };
  return findingsOf(survey, place);
}

function findingsOf(survey: Survey, place: Place): Finding[] {
  const { globals, deeds, more, problem, nested, end } = survey;
  const found = [
    ...globals.filter(({ allowed }) => !allowed).map((global) => globalFinding(global, place)),
    ...deeds.map((deed) => deedFinding(deed, place)),
  ];
  if (more > 0) found.push(at(place, 'pickle-unlisted-name', `${place.name} asks for ${more} more`));
  if (problem !== undefined) found.push(at(place, 'pickle-malformed', `${place.name} cannot be run: ${problem}`, end));
  for (const inner of nested) {
    const name = `a pickle within ${place.name}`;
    found.push(at(place, 'pickle-nested', `${place.name} carries a pickle of ${inner.end} bytes`));
    // Its positions count from where its own bytes start, which is not known any more.
    const { start: _, ...without } = place;
    found.push(...findingsOf(inner, { ...without, name }));
  }
  return found;
}

function globalFinding({ module, name, reason, opcode, position }: NamedGlobal, place: Place): Finding {
  const full = quoted(`${module}.${name}`);
  const harm = knownHarm(module, name);
  const rule = harm === undefined ? 'pickle-unlisted-name' : 'pickle-dangerous-name';
  const why = harm === undefined ? (reason ?? 'which weights do not need') : `which ${harm}`;
  return at(place, rule, `${place.name} asks for ${full}, ${why} (${opcode} at byte ${position})`, position);
}

const DEEDS: Readonly<Record<Deed['kind'], readonly [rule: RuleId, verb: string]>> = {
  call: ['pickle-call', 'calls'],
  'set state': ['pickle-state', 'sets the state of'],
  'ask outside': ['pickle-outside', 'asks for'],
};

function deedFinding({ kind, what, opcode, position }: Deed, place: Place): Finding {
  const [rule, verb] = DEEDS[kind];
  const [, module = '', name = ''] = /^(.*)\.([^.]*)$/s.exec(what) ?? [];
  const found = at(place, rule, `${place.name} ${verb} ${quoted(what)} (${opcode} at byte ${position})`, position);
  return kind === 'call' && knownHarm(module, name) !== undefined ? { ...found, level: 'error' } : found;
}

function at({ file, member, start }: Place, rule: RuleId, message: string, position?: number): Finding {
  const isKnown = start !== undefined && position !== undefined;
  return finding(rule, file, `${message}.`, {
    ...(member !== undefined && { member }),
    ...(isKnown && { byteOffset: start + position }),
  });
}

const ODDITIES: Readonly<Record<FileOddity['kind'], RuleId>> = {
  archive: 'archive-malformed',
  crc: 'archive-crc',
  trailing: 'pickle-trailing',
  'nested archive': 'archive-nested',
  code: 'archive-code',
};

/** What is odd about the bytes around a file's pickles. */
export function oddityFinding(file: string, { kind, text, member, position }: FileOddity): Finding {
  const who = member === undefined ? 'The file: ' : `Member ${quoted(member)}: `;
  return finding(ODDITIES[kind], file, `${who}${text}.`, {
    ...(member !== undefined && { member }),
    ...(position !== undefined && { byteOffset: position }),
  });
}

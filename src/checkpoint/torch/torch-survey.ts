import { inflateRawSync } from 'node:zlib';
import { type ByteSource, memorySource } from '../files/bytes.js';
import { quoted } from '../files/quote.js';
import { LEGACY_MAGIC } from './legacy-file.js';
import { type PickleSurvey, surveyPickle } from './pickle-survey.js';
import { claimOf, SIGNATURE_BYTES } from './signatures.js';
import { crcOf, crcProblem } from './storage-bytes.js';
import { readZipMembers } from './zip-members.js';
import { type FoundMember, findMembers } from './zip-search.js';

/** A pickle and where it is: the archive's member, or empty for the file itself. */
export interface PlacedSurvey extends PickleSurvey {
  readonly member: string;
  /** Where the member's bytes start in the file; undefined when they are compressed there. */
  readonly memberStart?: number;
}

/** What is odd about a file's bytes around the pickles. */
export interface FileOddity {
  readonly kind: 'archive' | 'crc' | 'trailing' | 'nested archive' | 'code';
  readonly text: string;
  readonly member?: string;
  readonly position?: number;
}

export interface TorchSurvey {
  readonly container: 'zip archive' | 'pickles';
  readonly pickles: readonly PlacedSurvey[];
  readonly oddities: readonly FileOddity[];
}

/** Pickles one after the other in a file; torch's legacy files have five. */
const MAX_PICKLES = 16;
const LEGACY_PICKLES = 5;
/** What a compressed member may become, and how many times its size: beyond, it is a bomb. */
const MAX_INFLATED_BYTES = 16 * 1024 * 1024;

/**
 * Everything that a file in one of torch's formats, or any pickle, asks for, sound or not: where a strict reader stops at the
 * first thing that is wrong, this goes on. Undefined when the bytes are neither an archive nor a pickle. Memory is bounded;
 * an archive is read once, for its CRCs.
 */
export function surveyTorchFile(file: ByteSource): TorchSurvey | undefined {
  const claim = claimOf(headOf(file, { start: 0, byteLength: file.size }));
  if (claim === 'zip') return surveyArchive(file);
  if (typeof claim === 'object') return undefined;
  const survey = surveyPickles(file);
  const isPickle = claim === 'pickle' || survey.pickles.some(({ problem, globals }) => !problem || globals.length > 0);
  return isPickle ? survey : undefined;
}

function surveyPickles(file: ByteSource): TorchSurvey {
  const pickles: PlacedSurvey[] = [];
  const most = isLegacy(file) ? LEGACY_PICKLES : MAX_PICKLES;
  let at = 0;
  while (at < file.size && pickles.length < most) {
    const survey = surveyPickle(file, { start: at, end: file.size, origin: 0 });
    // What follows a pickle and is not even the start of one is trailing data of another kind.
    if (pickles.length > 0 && survey.problem !== undefined && survey.globals.length === 0) break;
    pickles.push({ ...survey, member: '', memberStart: 0 });
    at = survey.end;
    if (survey.problem !== undefined) break;
  }
  const first = pickles[0];
  const hasMore = most === MAX_PICKLES && first !== undefined && first.problem === undefined && first.end < file.size;
  const text = `${file.size - (first?.end ?? 0)} bytes follow the STOP of its pickle`;
  const oddities: FileOddity[] = hasMore ? [{ kind: 'trailing', text, position: first.end }] : [];
  return { container: 'pickles', pickles, oddities };
}

function isLegacy(file: ByteSource): boolean {
  const start = Buffer.from(headOf(file, { start: 0, byteLength: file.size })).toString('latin1');
  const digits = LEGACY_MAGIC.toString(16).match(/../g)!;
  const binary = String.fromCharCode(...digits.reverse().map((pair) => Number.parseInt(pair, 16)));
  return start.includes(binary) || start.includes(String(LEGACY_MAGIC));
}

function surveyArchive(file: ByteSource): TorchSurvey {
  const oddities: FileOddity[] = [];
  const members = membersOf(file, oddities);
  const pickles: PlacedSurvey[] = [];
  for (const member of members) {
    const { name, start, byteLength, deflated } = member;
    if (/\.py$|\/code\//.test(name)) {
      oddities.push({ kind: 'code', text: 'it is program code', member: name, position: start });
    }
    if (!deflated && member.crc32 !== undefined) {
      const found = crcOf(file, member);
      if (found !== member.crc32) {
        oddities.push({ kind: 'crc', text: crcProblem(member.crc32, found), member: name, position: start });
      }
    }
    // A storage is read as numbers, whatever it holds.
    if (/^[^/]+\/data\/[^/]+$/.test(name)) continue;
    const inflated = deflated ? inflate(file, member, oddities) : undefined;
    if (deflated && inflated === undefined) continue;
    const bytes = inflated ?? { source: file, start, end: start + byteLength };
    const claim = claimOf(headOf(bytes.source, { start: bytes.start, byteLength: bytes.end - bytes.start }));
    if (claim === 'zip' || typeof claim === 'object') {
      oddities.push({
        kind: 'nested archive',
        text: `it is ${claim === 'zip' ? 'a zip archive' : claim.other}`,
        member: name,
      });
    } else if (claim === 'pickle' || /\.(?:pkl|pickle)$/.test(name)) {
      const survey = surveyPickle(bytes.source, { ...bytes, origin: bytes.start });
      const place = { member: name, ...(inflated === undefined && { memberStart: start }) };
      pickles.push({ ...survey, ...place });
      const left = bytes.end - bytes.start - survey.end;
      if (survey.problem === undefined && left > 0 && member.crc32 !== undefined) {
        oddities.push({ kind: 'trailing', text: `${left} bytes follow the STOP of its pickle`, member: name });
      }
    }
  }
  return { container: 'zip archive', pickles, oddities };
}

/** The members as the strict reader has them, or where it refuses the archive, all that look like one. */
function membersOf(file: ByteSource, oddities: FileOddity[]): readonly FoundMember[] {
  const refusal = new Error('refused');
  const complain = (text: string): never => {
    oddities.push({ kind: 'archive', text });
    throw refusal;
  };
  try {
    const members = readZipMembers(file, { fail: complain, refuse: complain }, () => {});
    return [...members.values()].map((member) => ({ ...member, deflated: false }));
  } catch (error) {
    if (error !== refusal) throw error;
    return findMembers(file);
  }
}

function inflate(file: ByteSource, { name, start, byteLength }: FoundMember, oddities: FileOddity[]) {
  const packed = new Uint8Array(Math.min(byteLength, MAX_INFLATED_BYTES));
  file.readSync(start, packed);
  try {
    const bytes = inflateRawSync(packed, { maxOutputLength: MAX_INFLATED_BYTES });
    return { source: memorySource(`${file.path}: ${quoted(name)}`, bytes), start: 0, end: bytes.length };
  } catch (error) {
    const isBomb = error instanceof RangeError;
    const text = isBomb ? `it unpacks to more than ${MAX_INFLATED_BYTES} bytes` : 'it cannot be unpacked';
    oddities.push({ kind: 'archive', text, member: name, position: start });
    return undefined;
  }
}

function headOf(file: ByteSource, { start, byteLength }: { start: number; byteLength: number }): Uint8Array {
  const head = new Uint8Array(Math.min(SIGNATURE_BYTES, byteLength));
  file.readSync(start, head);
  return head;
}

import { printableLine } from './printable.js';
import { formatPercent } from './quantities.js';

/** What a check of .weight_hashes.json looks like to people; every field is also in its JSON. */
export interface ShownCheck {
  readonly tree: string;
  readonly matches: boolean;
  readonly files: number;
  readonly findings: readonly ShownFinding[];
  readonly dvc: readonly { readonly status: string; readonly what: string }[];
}

interface ShownFinding {
  readonly path: string;
  readonly finding: 'changed' | 'forged' | 'missing' | 'unrecorded' | 'refused';
  readonly recorded?: { readonly size: number; readonly sha256: string };
  readonly found?: { readonly size: number; readonly sha256: string };
  readonly tensors?: readonly ShownTensor[];
  readonly metadataChanged?: boolean;
  readonly unknown?: string;
}

interface ShownTensor {
  readonly name: string;
  readonly finding: 'changed' | 'dtype' | 'shape' | 'added' | 'removed';
  readonly recorded?: ShownLayout;
  readonly found?: ShownLayout;
  readonly values?: {
    readonly fractionChanged: number;
    readonly relativeError: number | null;
    readonly cosine: number | null;
  };
}

interface ShownLayout {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Tensors of one file that are listed; more fill a screen, and are in the JSON. */
const LISTED_TENSORS = 20;

const HEADLINES: Readonly<Record<ShownFinding['finding'], string>> = {
  changed: 'changed, and not recorded',
  forged: 'is as recorded, but its recorded tensor hashes are not its own',
  missing: 'recorded, and not there',
  unrecorded: 'not recorded',
  refused: 'recorded, and cannot be checked',
};

/** The differing files, the tensors that changed in each and how far, what DVC tracks, and what to do. */
export function weightCheckText(check: ShownCheck): string {
  const { tree, files, findings, dvc } = check;
  const where = tree === 'index' ? 'staged ' : '';
  const tracked = dvcLines(dvc);
  if (findings.length === 0) {
    const agree = `${files} ${where}weight ${files === 1 ? 'file matches' : 'files match'} .weight_hashes.json`;
    return [...(files === 0 && dvc.length > 0 ? [] : [agree]), ...tracked].join('\n');
  }
  const total = `${findings.length} of ${files} ${where}weight files differ from .weight_hashes.json.`;
  return [...findings.flatMap(findingLines), '', total, ...adviceFor(tree, findings), ...tracked].join('\n');
}

/** One line for all that matches, and one for each that does not. */
function dvcLines(dvc: ShownCheck['dvc']): string[] {
  const matching = dvc.filter(({ status }) => status === 'matches').length;
  return [
    ...(matching === 0 ? [] : [`${matching} of ${dvc.length} files and folders that DVC tracks match`]),
    ...dvc.filter(({ status }) => status !== 'matches').map(({ status, what }) => `${status}: ${what}`),
  ];
}

function findingLines(finding: ShownFinding): string[] {
  const { path, tensors = [], metadataChanged, unknown } = finding;
  const rest = tensors.length - LISTED_TENSORS;
  return [
    `${printableLine(path)}: ${HEADLINES[finding.finding]}`,
    ...tensors.slice(0, LISTED_TENSORS).map((tensor) => `  ${tensorText(tensor)}`),
    ...(rest > 0 ? [`  and ${rest} more ${rest === 1 ? 'tensor' : 'tensors'}`] : []),
    ...(metadataChanged === true ? ["  the file's own metadata, names, types or shapes changed"] : []),
    ...(unknown === undefined ? [] : [`  ${finding.finding === 'refused' ? unknown : `not known: ${unknown}`}`]),
    ...(finding.finding === 'changed' ? [identityText(finding)] : []),
  ];
}

function identityText({ recorded, found }: ShownFinding): string {
  const text = (side: ShownFinding['found']) =>
    side === undefined ? 'unknown' : `${side.sha256.slice(0, 12)}, ${side.size} bytes`;
  return `  sha256 ${text(recorded)} → ${text(found)}`;
}

function tensorText({ name: given, finding, recorded, found, values }: ShownTensor): string {
  const name = printableLine(given);
  const layout = (side: ShownLayout | undefined) =>
    side === undefined ? '' : `${side.dtype} [${side.shape.join(', ')}]`;
  if (finding === 'added') return `${name}  added  ${layout(found)}`;
  if (finding === 'removed') return `${name}  removed  ${layout(recorded)}`;
  const before = layout(recorded);
  const after = layout(found);
  const shown = before === after ? after : `${before} → ${after}`;
  if (values === undefined) return `${name}  changed  ${shown}`;
  const { fractionChanged, relativeError, cosine } = values;
  const error = relativeError === null ? 'from all zeros' : `relative error ${figure(relativeError)}`;
  const angle = cosine === null ? '' : `, cosine ${cosine.toFixed(6)}`;
  return `${name}  changed  ${shown}  ${error}${angle}, ${shareText(fractionChanged)} of the values`;
}

/** One value of millions is not none. */
function shareText(fraction: number): string {
  return fraction > 0 && fraction < 0.001 ? 'under 0.1 %' : formatPercent(fraction);
}

function figure(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

function adviceFor(tree: string, findings: readonly ShownFinding[]): string[] {
  const isMissing = findings.some(({ finding }) => finding === 'missing');
  const restore = tree === 'index' ? 'git restore --staged -- FILE' : 'git restore -- FILE';
  return [
    'If that is meant: birdbone hash --update && git add .weight_hashes.json',
    ...(isMissing && tree === 'index' ? ['A recorded file that is to be in the commit: git add FILE'] : []),
    `If it is not: ${restore}`,
  ];
}

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What one step of a run has made of size and figures, or a run alone. */
export interface Gain {
  readonly name: string;
  /** Of the published tensors, after it. */
  readonly bytes: number;
  readonly accuracyLoss: number | null;
  readonly perplexityRatio: number | null;
}

/** One candidate of a search. */
export interface Candidate extends Gain {
  readonly passages: number;
  readonly pass: boolean;
  readonly front: boolean;
}

/** One recipe on one model, as docs/results/pipelines.json keeps it. */
export interface Measured {
  readonly model: string;
  readonly recipe: string;
  readonly searched: boolean;
  readonly gate: string;
  readonly windows: number;
  /** Of the whole GGUF with matrices in half precision. */
  readonly halfBytes: number;
  /** 4-bit K-quants without pruning: the whole file, and what they cost. */
  readonly kQuants: { readonly fileBytes: number } & Gain;
  readonly result: { readonly fileBytes: number; readonly accuracyLoss: number | null };
  readonly gains: readonly Gain[];
  readonly tried: readonly Candidate[];
  /** Nats a token that the techniques cost together beyond the sum of what each costs alone; null where there is one, or no search. */
  readonly extraNats: number | null;
  readonly machine: string;
  readonly date: string;
  readonly commit: string;
  readonly processorSeconds: number;
}

const FILE = fileURLToPath(new URL('../docs/results/pipelines.json', import.meta.url));
const PAGE = fileURLToPath(new URL('../docs/pipelines.md', import.meta.url));
const [START, END] = ['<!-- measure:pipelines -->', '<!-- /measure:pipelines -->'];

export function readMeasured(): readonly Measured[] {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Measured[]) : [];
}

/** Puts a result in the place of the one of its model and kind, or at the end. */
export function keepMeasured(measured: Measured): void {
  const others = readMeasured().filter(
    ({ model, recipe, searched }) =>
      model !== measured.model || recipe !== measured.recipe || searched !== measured.searched,
  );
  writeFileSync(FILE, `${JSON.stringify([...others, measured], null, 2)}\n`);
}

/** Puts what is kept into its section of docs/pipelines.md. */
export function writeSection(): void {
  const text = readFileSync(PAGE, 'utf8');
  const [from, to] = [text.indexOf(START), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${PAGE} has no section ${START} … ${END}.`);
  const sections = readMeasured().map(sectionOf);
  writeFileSync(PAGE, `${text.slice(0, from)}${START}\n${sections.join('\n\n')}\n${text.slice(to)}`);
}

function sectionOf(measured: Measured): string {
  const { model, recipe, searched, halfBytes, kQuants, result, gains, gate, windows } = measured;
  const part = (bytes: number) => `${((100 * bytes) / halfBytes).toFixed(1)} %`;
  const share = (loss: number | null) => (loss === null ? '' : `${(100 * loss).toFixed(2)} %`);
  const title = `**\`run configs/${recipe}.json${searched ? ' --search' : ''}\` on ${model}**, gate ${gate}, ${windows} windows of 256 tokens:`;
  const sizes = `the file is ${kilobytes(result.fileBytes)}, ${part(result.fileBytes)} of the ${kilobytes(halfBytes)} that it has in half precision, with an accuracy loss of ${share(result.accuracyLoss)}; by 4-bit K-quants alone it is ${kilobytes(kQuants.fileBytes)}, ${part(kQuants.fileBytes)}, with ${share(kQuants.accuracyLoss)}.`;
  const rows = gains.map((gain) => [gain.name, kilobytes(gain.bytes), share(gain.accuracyLoss), ratio(gain)]);
  const extra = measured.extraNats;
  return [
    `${title} ${sizes}`,
    '',
    table(['after', 'tensors', 'accuracy loss', 'perplexity'], rows),
    ...(searched ? ['', candidates(measured)] : []),
    ...(extra === null
      ? []
      : ['', `Together the techniques cost ${extra.toFixed(4)} nats a token beyond the sum of each alone.`]),
    '',
    `*${measured.date}, ${measured.commit}, ${measured.machine}, ${measured.processorSeconds} s of processors for all of it.*`,
  ].join('\n');
}

function candidates({ tried, windows }: Measured): string {
  const rows = tried.map((each) => [
    each.name,
    kilobytes(each.bytes),
    `${(100 * (each.accuracyLoss ?? 0)).toFixed(2)} %`,
    ratio(each),
    each.passages < windows ? `of ${each.passages}` : each.pass ? 'inside' : 'outside',
    each.front ? '*' : '',
  ]);
  return table(['candidate', 'tensors', 'accuracy loss', 'perplexity', 'gate', 'front'], rows);
}

function ratio({ perplexityRatio }: Gain): string {
  return perplexityRatio === null ? '' : `${perplexityRatio.toFixed(4)} ×`;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(0)} kB`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

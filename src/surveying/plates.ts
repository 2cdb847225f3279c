import { type FileKind, outputFileFormat } from '../checkpoint/index.js';
import { marksAt } from '../plates/index.js';
import { type ListOptions, PlateList } from './list.js';
import type { KindSummary, ListedPlate } from './listing.js';
import { slicesText, writePlates } from './plates-file.js';
import { drawPlates, PICTURE_FILE } from './plates-picture.js';
import { type Survey, type SurveyOptions, surveyPlates } from './survey.js';

const PLATES_FILE: FileKind<'json' | 'csv'> = { name: 'list', flag: '--out', formats: ['json', 'csv'] };

/** What the `plates` command is asked for. */
export interface PlatesOptions extends SurveyOptions, ListOptions {
  /** Lines in the result; the files have all. */
  readonly top: number;
  /** What would be shed at this aggressiveness is said, too. */
  readonly aggressiveness?: number;
  /** A .json or .csv file of all plates of the list. */
  readonly out?: string;
  /** An .svg or .html file that shows the model. */
  readonly picture?: string;
  /** Check everything, write nothing. */
  readonly dryRun?: boolean;
}

/** What would go at an aggressiveness, as a set of plates and as figures. */
export interface WouldShed {
  readonly aggressiveness: number;
  readonly plates: number;
  /** Of all numbers of the plates of these kinds together, by kind. */
  readonly parameters: Readonly<Record<string, number>>;
  /** As `Marks` are written. */
  readonly marks: unknown;
}

export interface PlatesResult {
  readonly model: string;
  readonly architecture: string;
  readonly metric: string;
  readonly kinds: readonly KindSummary[];
  /** How many plates the filters leave; `plates` has the first of them. */
  readonly matching: number;
  readonly plates: readonly (ListedPlate & { readonly slices: readonly string[] })[];
  readonly wouldShed?: WouldShed;
  readonly out?: string;
  readonly picture?: string;
}

/** Lists a model's growth plates, and writes and draws them where that is asked for. Throws `usage` before any work is done. */
export async function listPlates(options: PlatesOptions): Promise<PlatesResult> {
  const { out, picture, top, aggressiveness } = options;
  if (out !== undefined) await outputFileFormat(out, PLATES_FILE);
  if (picture !== undefined) await outputFileFormat(picture, PICTURE_FILE);
  return surveyPlates(options, async (survey) => {
    const list = new PlateList(survey, options);
    const { name: model, metric, graph } = survey;
    const header = { model, architecture: graph.decoder.architecture, metric };
    if (!options.dryRun) {
      if (out !== undefined) await writePlates(out, header, { list, graph });
      if (picture !== undefined) await drawPlates(picture, survey, list);
    }
    return {
      ...header,
      kinds: list.summaries(),
      matching: list.length,
      plates: [...list.lines(0, top)].map((plate) => ({ ...plate, slices: slicesText(graph, plate) })),
      ...(aggressiveness !== undefined && { wouldShed: wouldShed(survey, aggressiveness) }),
      ...(out !== undefined && { out }),
      ...(picture !== undefined && { picture }),
    };
  });
}

function wouldShed({ ranked, levels, shed }: Survey, aggressiveness: number): WouldShed {
  const marks = marksAt(ranked, levels, aggressiveness).without(shed);
  const parameters: Record<string, number> = {};
  for (const { kind, block, start, count } of marks.ranges()) {
    for (const entry of ranked) {
      if (entry.range.kind !== kind || (block !== undefined && entry.range.block !== block)) continue;
      const from = Math.max(start, entry.range.start) - entry.range.start;
      const end = Math.min(start + count, entry.range.start + entry.range.count) - entry.range.start;
      for (let at = from; at < end; at += 1) parameters[kind] = (parameters[kind] ?? 0) + entry.parameters[at]!;
    }
  }
  return { aggressiveness, plates: marks.size, parameters, marks: marks.toJSON() };
}

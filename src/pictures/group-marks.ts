import { FAINT, KIND_COLOURS } from './palette.js';

/** What stands for things that are in no group. */
export const NO_GROUP = -1;

const SHAPES = ['circle', 'square', 'triangle-up', 'diamond'] as const;

/** A group's colour; those after the last begin again, with another shape. */
export function groupColour(group: number): string {
  return group === NO_GROUP ? FAINT : KIND_COLOURS[group % KIND_COLOURS.length]!;
}

export function groupShape(group: number): string {
  return group === NO_GROUP ? 'cross' : SHAPES[Math.floor(group / KIND_COLOURS.length) % SHAPES.length]!;
}

/** Scales `colour` and `shape` of these groups and their legend; a mark names its group in the field `group`. */
export function groupScales(groups: readonly number[], title: string) {
  const shown = [...new Set(groups)].sort((a, b) => a - b);
  return {
    scales: [
      { name: 'colour', type: 'ordinal', domain: shown, range: shown.map(groupColour) },
      { name: 'shape', type: 'ordinal', domain: shown, range: shown.map(groupShape) },
    ],
    legends: [
      {
        fill: 'colour',
        shape: 'shape',
        title,
        symbolSize: 60,
        columns: shown.length > 12 ? 2 : 1,
        encode: { labels: { update: { text: { signal: `datum.value === ${NO_GROUP} ? 'none' : datum.label` } } } },
      },
    ],
  } as const;
}

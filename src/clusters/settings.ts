import { BirdboneError } from '../errors.js';
import type { ClusteringMethod, ClusteringSettings, MethodSettings } from './clustering.js';

type Setting = Exclude<keyof MethodSettings, 'seed'>;

const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1;

/** Two clusterings of this many clusters can still be compared: their table has 16 million cells. */
const MOST_CLUSTERS = 4096;

/** Starts are as many whole clusterings. */
const MOST_RESTARTS = 1000;

/** 2²⁰ clusters at most below the root: beyond it a depth says nothing that another number of clusters does not. */
const MOST_DEPTH = 20;

/** What each setting may be, as a test and in words. */
const RANGES: Record<
  Exclude<Setting, 'linkage'>,
  { readonly holds: (value: number) => boolean; readonly words: string }
> = {
  k: { holds: (value) => isCount(value) && value <= MOST_CLUSTERS, words: `a whole number from 1 to ${MOST_CLUSTERS}` },
  restarts: {
    holds: (value) => isCount(value) && value <= MOST_RESTARTS,
    words: `a whole number from 1 to ${MOST_RESTARTS}`,
  },
  depth: { holds: (value) => isCount(value) && value <= MOST_DEPTH, words: `a whole number from 1 to ${MOST_DEPTH}` },
  height: { holds: (value) => value >= 0 && value < Number.POSITIVE_INFINITY, words: 'a number from 0 on' },
  epsilon: { holds: (value) => value > 0 && value < Number.POSITIVE_INFINITY, words: 'a number above 0' },
  minPoints: { holds: isCount, words: 'a whole number from 1 on' },
};

const LINKAGES = ['ward', 'average', 'complete', 'single'];

/** Ways to say where a hierarchy is cut: one of them counts. */
const CUTS = ['k', 'depth', 'height'] as const;

/** Throws `usage` for a setting out of its range or of another method, and where nothing or too much says how many clusters there are. */
export function checkSettings(settings: ClusteringSettings, method: ClusteringMethod, asksK: boolean): void {
  if (!Number.isSafeInteger(settings.seed)) throw usage(`The seed is ${settings.seed}. It must be a whole number.`);
  for (const [name, value] of Object.entries(settings)) {
    if (name === 'method' || name === 'seed' || value === undefined) continue;
    const setting = name as Setting;
    if (!method.takes.includes(setting)) {
      throw usage(`${settings.method} has no setting ${name}. It takes ${method.takes.join(', ')}.`);
    }
    checkRange(setting, value);
  }
  const cuts = CUTS.filter((cut) => settings[cut] !== undefined);
  if (cuts.length > 1) throw usage(`Clusters are cut by ${cuts.join(' and ')}. Give one of them.`);
  if (asksK && method.isNumbered && cuts.length === 0) {
    const ways = CUTS.filter((cut) => method.takes.includes(cut));
    throw usage(`${settings.method} has to be told how many clusters there are. Give ${ways.join(', or ')}.`);
  }
}

function checkRange(setting: Setting, value: unknown): void {
  if (setting === 'linkage') {
    if (!LINKAGES.includes(String(value)))
      throw usage(`There is no linkage "${value}". Known: ${LINKAGES.join(', ')}.`);
    return;
  }
  const { holds, words } = RANGES[setting];
  if (typeof value !== 'number' || !holds(value)) throw usage(`${setting} is ${value}. It must be ${words}.`);
}

function usage(message: string): BirdboneError {
  return new BirdboneError('usage', message);
}

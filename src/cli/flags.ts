import * as Flags from '@oclif/core/flags';
import { BirdboneError } from '../errors.js';
import { parseBytes, parseDuration, parseRatio } from './quantities.js';

/** The environment variable that sets a flag: `--max-drop` is `BIRDBONE_MAX_DROP`. A flag wins over it. */
export function envOf(flag: string): string {
  return `BIRDBONE_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** A flag whose value is a fraction: `0.5` or `50%`. */
export const ratio = Flags.custom<number>({ parse: async (text) => parseRatio(text), helpValue: '<ratio>' });

/** A flag whose value is a size: `5GB`, `512MiB`. */
export const bytes = Flags.custom<number>({ parse: async (text) => parseBytes(text), helpValue: '<size>' });

/** A flag whose value is a time, in seconds: `12h`, `1d`. */
export const duration = Flags.custom<number>({ parse: async (text) => parseDuration(text), helpValue: '<time>' });

/** A flag whose value is a whole number of at least `min`. */
export const count = Flags.custom<number, { min?: number; max?: number }>({
  helpValue: '<n>',
  parse: async (text, _context, { min = 1, max = Number.MAX_SAFE_INTEGER }) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new BirdboneError('usage', `"${text}" is not allowed. It must be a whole number ${range}.`);
  },
});

/** A flag whose value is a number from 0, such as a score: `0.002`, `1e-4`. */
export const amount = Flags.custom<number>({
  helpValue: '<number>',
  parse: async (text) => {
    const value = Number(text);
    if (/^[\d.]+(e[-+]?\d+)?$/i.test(text) && Number.isFinite(value)) return value;
    throw new BirdboneError('usage', `"${text}" is not allowed. It must be a number from 0, such as 0.002 or 1e-4.`);
  },
});

/** Where an output's journal lies, for commands that go by it. */
export const stateFlag = Flags.string({
  summary: 'Folder for journal and layers; .birdbone/<name> beside the output by default.',
  helpValue: '<dir>',
  env: envOf('state'),
});

/** Every command has these. */
export const globalFlags = {
  device: Flags.option({ options: ['auto', 'webgpu', 'cuda', 'cpu'] as const })({
    summary: 'Device to compute on; auto takes a GPU where there is one.',
    default: 'auto',
    env: envOf('device'),
    helpGroup: 'GLOBAL',
  }),
  threads: count({
    summary: 'CPU threads to compute with; all cores by default.',
    env: envOf('threads'),
    helpGroup: 'GLOBAL',
  }),
  seed: count({
    summary: 'Seed of everything random, such as confidence intervals; 0 by default.',
    min: 0,
    max: 0xffff_ffff,
    env: envOf('seed'),
    helpGroup: 'GLOBAL',
  }),
  quiet: Flags.boolean({
    char: 'q',
    summary: 'No progress on standard error.',
    env: envOf('quiet'),
    helpGroup: 'GLOBAL',
  }),
  events: Flags.string({
    summary: 'Write progress as JSON lines to a file, or to standard output for -.',
    helpValue: '<file>|-',
    env: envOf('events'),
    helpGroup: 'GLOBAL',
  }),
};

/** Every command that changes a disk has this. */
export const writerFlags = {
  'dry-run': Flags.boolean({
    summary: 'Say what would be written, and write nothing.',
    env: envOf('dry-run'),
  }),
};

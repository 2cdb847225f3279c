import * as ux from '@oclif/core/ux';
import { BirdboneError, type ErrorCode, EXIT_CODES } from '../errors.js';
import { nearest } from '../nearest.js';
import { toJson } from './json.js';
import { printable } from './printable.js';

/** How a command ended badly, in the form that people and `--json` both get. */
export interface Failure {
  /** One of errors.ts, or `bug`. */
  readonly code: ErrorCode | 'bug';
  readonly exitCode: number;
  readonly message: string;
  readonly suggestions: readonly string[];
  readonly file?: string;
  readonly tensor?: string;
  /** Messages of the causes, outermost first. */
  readonly causes: readonly string[];
}

/** What oclif adds to the errors that it throws itself. */
interface OclifError extends Error {
  readonly oclif: { readonly exit?: number };
  readonly flags?: readonly string[];
  readonly parse?: { readonly input?: { readonly flags?: Readonly<Record<string, unknown>> } };
}

/** Errors of the operating system that the user can act on, by what they amount to. Any other is a bug. */
const SYSTEM_ERRORS: Readonly<Record<string, { code: ErrorCode; suggestion: string }>> = {
  EACCES: { code: 'usage', suggestion: 'Check the permissions of the path.' },
  EPERM: { code: 'usage', suggestion: 'Check the permissions of the path.' },
  EROFS: { code: 'usage', suggestion: 'Write to a file system that is not read-only.' },
  ENOENT: { code: 'usage', suggestion: 'Check the spelling of the path.' },
  ENOTDIR: { code: 'usage', suggestion: 'Check that every part of the path but the last is a folder.' },
  EISDIR: { code: 'usage', suggestion: 'Name a file, not a folder.' },
  ENAMETOOLONG: { code: 'usage', suggestion: 'Choose a shorter name.' },
  EIO: { code: 'unreadable', suggestion: 'Check the disk; then run the command again.' },
  ENOSPC: {
    code: 'out-of-memory',
    suggestion: 'Free disk space, or write to another disk; then run the command again.',
  },
  EDQUOT: { code: 'out-of-memory', suggestion: 'Free disk space within your quota; then run the command again.' },
  EMFILE: { code: 'out-of-memory', suggestion: 'Raise the limit of open files (ulimit -n).' },
};

/** Understands anything thrown: ours, oclif's, the system's, or a bug. */
export function failureOf(error: unknown): Failure {
  if (error instanceof BirdboneError) return ofBirdbone(error);
  if (error instanceof Error && 'oclif' in error) return ofOclif(error as OclifError);
  const system = SYSTEM_ERRORS[(error as NodeJS.ErrnoException | undefined)?.code ?? ''];
  if (error instanceof Error && system !== undefined) {
    return failure(system.code, error.message, { suggestions: [system.suggestion], causes: causesOf(error) });
  }
  return {
    code: 'bug',
    exitCode: 1,
    message: `This is a bug in birdbone: ${error instanceof Error ? error.message : String(error)}`,
    suggestions: ['Run the command again with DEBUG=birdbone* and report what it prints.'],
    causes: causesOf(error),
  };
}

/** Prints a failure: one JSON object on standard output for `--json`, text on standard error otherwise. */
export function printFailure(error: unknown, asJson: boolean): number {
  const shown = failureOf(error);
  if (asJson) ux.stdout(toJson({ error: shown }));
  else ux.stderr(toText(shown));
  const debug = /\bbirdbone|\*/.test(process.env['DEBUG'] ?? '');
  if (debug && error instanceof Error) ux.stderr(error.stack ?? error.message);
  return shown.exitCode;
}

function toText({ message, suggestions, causes }: Failure): string {
  return [
    `${ux.colorize('red', 'Error:')} ${printable(message)}`,
    ...causes.map((cause) => `  Caused by: ${printable(cause)}`),
    ...suggestions.map((suggestion) => `  Try: ${printable(suggestion)}`),
  ].join('\n');
}

function failure(code: ErrorCode, message: string, rest: Partial<Failure> = {}): Failure {
  return { code, exitCode: EXIT_CODES[code], message, suggestions: [], causes: [], ...rest };
}

function ofBirdbone(error: BirdboneError): Failure {
  return failure(error.code, withoutFrame(error.message), {
    suggestions: error.suggestions,
    causes: causesOf(error),
    ...(error.file !== undefined && { file: error.file }),
    ...(error.tensor !== undefined && { tensor: error.tensor }),
  });
}

function ofOclif(error: OclifError): Failure {
  const message = withoutFrame(error.message);
  const help = ['birdbone --help, or --help after a command.'];
  if (error.flags !== undefined) {
    const known = Object.keys(error.parse?.input?.flags ?? {}).map((name) => `--${name}`);
    const near = error.flags.flatMap((flag) => nearest(flag, known).slice(0, 1));
    const plural = error.flags.length > 1;
    return failure('usage', `There ${plural ? 'are no flags' : 'is no flag'} ${error.flags.join(', ')}.`, {
      suggestions: near.length > 0 ? near : help,
    });
  }
  const choice = /^Expected (?:--([\w-]+)=)?(.*) to be one of: (.*)$/s.exec(message);
  if (choice !== null) {
    const [, flag, typed = '', allowed = ''] = choice;
    const name = flag === undefined ? '' : `--${flag} `;
    const near = nearest(typed, allowed.split(', ')).slice(0, 1);
    return failure('usage', `${name}"${typed}" is not known. It must be one of ${allowed}.`, {
      suggestions: near.map((option) => `${name}${option}`),
    });
  }
  return failure('usage', message, { suggestions: help });
}

/** oclif wraps the message of an error that a flag's parser throws; the flag's name is worth keeping, the rest is not. */
function withoutFrame(message: string): string {
  return message.replace(/^Parsing (--[\w-]+) \n\t/, '$1 ').replace(/\nSee more help with --help$/, '');
}

function causesOf(error: unknown): string[] {
  const causes: string[] = [];
  let cause = error instanceof Error ? error.cause : undefined;
  while (cause instanceof Error && causes.length < 5) {
    causes.push(cause.message);
    cause = cause.cause;
  }
  return causes;
}

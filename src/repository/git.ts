import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { namesRepository, withIndex, withLocations, withoutLocations } from './git-environment.js';

/** A listing of a million files has about 100 MB; what is larger is not a listing. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
/** Enough for every message of git's that says what is wrong. */
const MAX_MESSAGE_BYTES = 64 * 1024;

export interface GitOptions {
  /** The folder git runs in. */
  readonly cwd: string;
  /** What git reads from its standard input; nothing by default. */
  readonly input?: string | Uint8Array;
  /** More output than this is refused. */
  readonly maxBytes?: number;
  /** Ends git when it is aborted. */
  readonly signal?: AbortSignal;
}

export interface GitResult {
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Git's exit status. */
  readonly code: number;
}

/**
 * What git said and its exit status, whatever that is. Runs without a shell and never asks anything. Within a hook it uses
 * the hook's index for the hook's repository, and none of the hook's variables for another one.
 * Throws `unsupported` when git is not installed, `unreadable` for a missing folder and for more output than `maxBytes`.
 */
export async function git(args: readonly string[], options: GitOptions): Promise<GitResult> {
  return runGit(args, options, await environmentFor(options.cwd));
}

/** What git wrote. Throws `unreadable`, with git's own words, when it fails; else as `git` does. */
export async function gitOutput(args: readonly string[], options: GitOptions): Promise<Buffer> {
  const { stdout, stderr, code } = await git(args, options);
  if (code !== 0) throw gitFailed(args, options.cwd, stderr);
  return stdout;
}

/**
 * The pieces of what git writes, as they come, for what is too large for memory (a blob). Throws as `gitOutput` does; ending
 * the loop early ends git.
 */
export async function* gitStream(args: readonly string[], options: GitOptions): AsyncGenerator<Buffer> {
  const { child, ended } = await startGit(args, { input: '', ...options });
  try {
    yield* outputOf({ child, ended });
  } finally {
    // Does nothing when git has ended by itself.
    child.kill();
  }
  const { stderr, code } = await ended;
  if (code !== 0) throw gitFailed(args, options.cwd, stderr);
}

/** Starts a git whose output the caller reads, and whose input it ends. */
export async function startGit(args: readonly string[], options: GitOptions): Promise<GitProcess> {
  return start(args, options, await environmentFor(options.cwd));
}

/**
 * The top folder of the work tree that a folder lies in; undefined when it lies in none. Throws `unreadable` when git finds a
 * repository and refuses it (one that belongs to somebody else).
 */
export async function gitRoot(folder: string): Promise<string | undefined> {
  const { stdout, stderr, code } = await git(['rev-parse', '--show-toplevel'], { cwd: folder });
  if (code === 0) return path.resolve(withoutNewline(stdout));
  if (/not a git repository|must be run in a work tree/.test(stderr)) return undefined;
  throw gitFailed(['rev-parse', '--show-toplevel'], folder, stderr);
}

/** Git ends a path with one line feed; others belong to the path. */
export function withoutNewline(output: Buffer): string {
  return output.toString('utf8').replace(/\r?\n$/, '');
}

/** An `unreadable` error with git's own words. */
export function gitFailed(args: readonly string[], cwd: string, stderr: string): BirdboneError {
  const said = stderr.trim() || 'it gave no reason';
  return new BirdboneError('unreadable', `Git failed at "git ${args[0]}" in ${cwd}: ${said}`, {
    file: cwd,
    suggestions: ['Run the same git command in that folder, and repair what it names.'],
  });
}

async function runGit(args: readonly string[], options: GitOptions, env: Environment): Promise<GitResult> {
  const { child, ended } = start(args, { input: '', ...options }, env);
  const { maxBytes = MAX_OUTPUT_BYTES } = options;
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of outputOf({ child, ended })) {
    length += piece.length;
    if (length > maxBytes) break;
    pieces.push(piece);
  }
  if (length > maxBytes) child.kill();
  const { stderr, code } = await ended;
  if (length <= maxBytes) return { stdout: Buffer.concat(pieces), stderr, code };
  const message = `"git ${args[0]}" in ${options.cwd} wrote more than the ${maxBytes} bytes that are allowed.`;
  throw new BirdboneError('unreadable', message, { file: options.cwd });
}

/** The pieces of what a git writes, as they come. Throws as `git` does when it could not be started. */
export async function* outputOf({ child, ended }: GitProcess): AsyncGenerator<Buffer> {
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
  } catch (error) {
    await ended;
    throw error;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A git that runs. */
export interface GitProcess {
  readonly child: ChildProcessWithoutNullStreams;
  /** What git said when it ended. Throws when it could not be started or was aborted. */
  readonly ended: Promise<Omit<GitResult, 'stdout'>>;
}

function start(args: readonly string[], { cwd, input, signal }: GitOptions, env: Environment): GitProcess {
  // A monitor is a program that the repository's own config names.
  const child = spawn('git', ['-c', 'core.fsmonitor=false', ...args], { cwd, env, ...(signal && { signal }) });
  // Git may end without having read its input; its status says why.
  child.stdin.on('error', () => undefined);
  if (input !== undefined) child.stdin.end(input);
  let stderr = Buffer.alloc(0);
  child.stderr.on('data', (piece: Buffer) => {
    if (stderr.length < MAX_MESSAGE_BYTES) stderr = Buffer.concat([stderr, piece]);
  });
  const ended = new Promise<Omit<GitResult, 'stdout'>>((resolve, reject) => {
    child.on('error', (error) => {
      // A program that git itself started may hold the other end.
      child.stdout.destroy();
      reject(signal?.aborted ? interrupted(error) : notStarted(error, cwd));
    });
    child.on('close', (code, killedBy) =>
      resolve({ stderr: stderr.toString('utf8'), code: code ?? (killedBy ? -1 : 1) }),
    );
  });
  // Awaited after the output has been read; until then a failure to start is nobody's.
  ended.catch(() => undefined);
  return { child, ended };
}

function interrupted(cause: Error): BirdboneError {
  return new BirdboneError('interrupted', 'Interrupted.', { cause });
}

function notStarted(cause: Error, cwd: string): BirdboneError {
  const message = `Cannot run git in ${cwd}: either git is not installed, or the folder does not exist.`;
  return new BirdboneError('unsupported', message, {
    cause,
    file: cwd,
    suggestions: ['Install git, or check the folder.', 'Run birdbone doctor.'],
  });
}

/** What was found out for a folder under one set of variables: a hook calls git a dozen times for the same. */
const environments = new Map<string, Promise<Environment>>();

/** Our own environment, with what git told a hook only where it concerns the repository of `cwd`. */
function environmentFor(cwd: string): Promise<Environment> {
  const variables = process.env;
  if (!namesRepository(variables)) return Promise.resolve(withoutLocations(variables));
  const here = process.cwd();
  const key = JSON.stringify([here, cwd, withLocations(variables, here)]);
  const found = environments.get(key) ?? environmentInHook(cwd, here);
  environments.set(key, found);
  return found;
}

async function environmentInHook(cwd: string, here: string): Promise<Environment> {
  const [clean, hook] = [withoutLocations(process.env), withLocations(process.env, here)];
  const found = await gitFolder(cwd, clean);
  if (found === undefined) return hook;
  return found === (await gitFolder(here, hook)) ? withIndex(process.env, here) : clean;
}

async function gitFolder(cwd: string, env: Environment): Promise<string | undefined> {
  const { stdout, code } = await runGit(['rev-parse', '--absolute-git-dir'], { cwd }, env);
  return code === 0 ? withoutNewline(stdout) : undefined;
}

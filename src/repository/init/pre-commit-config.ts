import { isMap, isSeq, type YAMLSeq } from 'yaml';
import { BirdboneError } from '../../errors.js';
import { parseYamlDocument } from '../yaml-file.js';
import type { Conflict, Merged } from './change.js';
import { lineEndOf } from './marked-block.js';

const FILE = '.pre-commit-config.yaml';

/**
 * The hook. It is the birdbone on the PATH, so that hook and command line are one version; always_run, for a commit that only
 * deletes weights has no file to pass.
 */
const FIELDS = [
  'id: birdbone-weight-hashes',
  'name: weights are what .weight_hashes.json says',
  'entry: birdbone hash --check --staged --quiet',
  'language: system',
  'always_run: true',
  'pass_filenames: false',
];

/** As an item of `repos`. */
const HOOK = [
  '# >>> birdbone: no commit changes weights unnoticed',
  '- repo: local',
  '  hooks:',
  ...FIELDS.map((field, index) => `    ${index === 0 ? '-' : ' '} ${field}`),
  '# <<< birdbone',
];

/** The same on one line, for a message. */
const HOOK_LINE = `- {repo: local, hooks: [{${FIELDS.join(', ')}}]}`;

const NEW_FILE = [
  '# What runs before each commit (https://pre-commit.com). Switched on, once a clone, by: pre-commit install',
  'repos:',
];

/**
 * A .pre-commit-config.yaml with the hook that checks weights. The hook goes behind the last of the repositories, indented as
 * they are; every other line stays. A config that is not understood is left as it is, and told as a conflict.
 */
export async function mergePreCommitConfig(text: string): Promise<Merged> {
  if (text.trim() === '') return { text: [...NEW_FILE, ...indented('  '), ''].join('\n'), conflicts: [] };
  const parsed = await parsedConfig(text);
  if ('what' in parsed) return { text, conflicts: [parsed] };
  if (hasHook(parsed.toJSON())) return { text, conflicts: [] };
  const merged = withHook(text, parsed);
  const after = await parsedConfig(merged);
  const isSound = !('what' in after) && after.items.length === parsed.items.length + 1 && hasHook(after.toJSON());
  return isSound ? { text: merged, conflicts: [] } : { text, conflicts: [conflict('is not laid out as a plain list')] };
}

/** The `repos` of a config, or why there are none that a line could be added to. */
async function parsedConfig(text: string): Promise<YAMLSeq.Parsed | Conflict> {
  try {
    const { contents } = await parseYamlDocument(text, FILE);
    const repos: unknown = isMap(contents) ? contents.get('repos', true) : undefined;
    const isList = isSeq(repos) && repos.flow !== true && repos.items.length > 0;
    return isList ? (repos as YAMLSeq.Parsed) : conflict('has no block list "repos"');
  } catch (error) {
    if (error instanceof BirdboneError) return conflict(`is not readable: ${error.message}`);
    throw error;
  }
}

function withHook(text: string, repos: YAMLSeq.Parsed): string {
  const start = repos.range[0];
  const indent = ' '.repeat(start - (text.lastIndexOf('\n', start - 1) + 1));
  const last = repos.items.at(-1)?.range?.[1] ?? start;
  const lineEnd = lineEndOf(text);
  const behind = text.indexOf('\n', Math.max(start, last - 1)) + 1 || text.length;
  const before = text.slice(0, behind);
  const hook = indented(indent).map((line) => line + lineEnd);
  return [before, before.endsWith('\n') ? '' : lineEnd, ...hook, text.slice(behind)].join('');
}

function indented(indent: string): string[] {
  return HOOK.map((line) => indent + line);
}

/** True when a hook of the config is ours, by its id, or runs birdbone under another. */
function hasHook(repos: unknown): boolean {
  const hooks = (Array.isArray(repos) ? repos : []).flatMap((repo: unknown) => fieldOf(repo, 'hooks') ?? []);
  return hooks.some((hook) =>
    [fieldOf(hook, 'id'), fieldOf(hook, 'entry')].some((value) => /\bbirdbone\b/.test(String(value))),
  );
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function conflict(problem: string): Conflict {
  return {
    file: FILE,
    what: `${FILE} ${problem}, so the hook was not added`,
    fix: `Add it under "repos" by hand: ${HOOK_LINE}`,
  };
}

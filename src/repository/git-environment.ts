import path from 'node:path';

/** Variables by which git tells a hook which repository it works on; see `git rev-parse --local-env-vars`. */
const LOCATIONS = [
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_COMMON_DIR',
  'GIT_INDEX_FILE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
] as const;

/** They say where git was called from, and mislead a git that is called from another folder. */
const ALWAYS_DROPPED = ['GIT_PREFIX', 'GIT_INTERNAL_SUPER_PREFIX', 'GIT_IMPLICIT_WORK_TREE', 'GIT_EXTERNAL_DIFF'];

const FIXED = {
  // Nobody is there to answer: a question fails instead of waiting.
  GIT_TERMINAL_PROMPT: '0',
  GCM_INTERACTIVE: 'never',
  GIT_PAGER: 'cat',
  // Reading must not take the index's lock, which a commit in progress holds.
  GIT_OPTIONAL_LOCKS: '0',
  // A partial clone would fetch what is missing over the network.
  GIT_NO_LAZY_FETCH: '1',
  // Messages are recognised by their English text.
  LC_ALL: 'C',
} as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** True when git, or somebody who set a variable, says which repository is meant: within a hook, nearly always. */
export function namesRepository(environment: Environment): boolean {
  return LOCATIONS.some((name) => environment[name] !== undefined);
}

/** The environment for a git that finds the repository from its own folder. */
export function withoutLocations(environment: Environment): Environment {
  const dropped = new Set<string>([...LOCATIONS, ...ALWAYS_DROPPED]);
  return { ...Object.fromEntries(Object.entries(environment).filter(([name]) => !dropped.has(name))), ...FIXED };
}

/** The environment for a git in any folder that is to use the repository and the index named by the variables. */
export function withLocations(environment: Environment, from: string): Environment {
  const named = LOCATIONS.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, absolute(name, value, from)] as const];
  });
  return { ...withoutLocations(environment), ...Object.fromEntries(named) };
}

/**
 * The environment for a git in a folder of the very repository that a hook runs for. GIT_DIR alone would make that folder the
 * top of the work tree, so git finds both itself; the index stays, for `git commit <path>` commits from one of its own.
 */
export function withIndex(environment: Environment, from: string): Environment {
  const { GIT_DIR: _dir, GIT_WORK_TREE: _tree, GIT_COMMON_DIR: _common, ...rest } = withLocations(environment, from);
  return rest;
}

/** Git means paths from the folder it called the hook in. */
function absolute(name: string, value: string, from: string): string {
  const parts = name === 'GIT_ALTERNATE_OBJECT_DIRECTORIES' ? value.split(path.delimiter) : [value];
  return parts.map((part) => path.resolve(from, part)).join(path.delimiter);
}

import { counted, formatBytes } from './quantities.js';

/** Paths and refs listed by name; the rest is a number. */
const MAX_LISTED = 20;

interface ShownSize {
  readonly versions: number;
  readonly bytes: number;
}

/** What a migration's plan looks like to people; every field is also in its JSON. */
export interface ShownLfsPlan {
  readonly root: string;
  readonly patterns: readonly (ShownSize & { readonly pattern: string; readonly files: number })[];
  readonly paths: readonly (ShownSize & { readonly path: string })[];
  readonly total: ShownSize;
  readonly pointerBytes: number;
  readonly repositoryBytes: { readonly before: number; readonly after: number };
  readonly exempt: readonly string[];
  readonly refs: Readonly<Record<'rewritten' | 'remote' | 'untouched', readonly string[]>>;
  readonly remotes: readonly { readonly name: string; readonly url: string }[];
  readonly obstacles: readonly { readonly what: string; readonly fix: string }[];
  readonly steps: readonly { readonly title: string; readonly commands: readonly string[] }[];
}

/** A migration's plan as a page: what there is, what it becomes, what stands in the way, and the commands to type. */
export function renderLfsPlan(plan: ShownLfsPlan): string {
  const { root, total, pointerBytes, repositoryBytes, obstacles, steps } = plan;
  if (steps.length === 0) return `${root}: no weights in the history of git itself, so there is nothing to migrate`;
  return [
    `repository  ${root}`,
    `in git      ${formatBytes(total.bytes)} of weights in ${counted(total.versions, 'version')} of ${counted(plan.paths.length, 'file')}`,
    `after       ${formatBytes(pointerBytes)} of pointers; all of git about ${formatBytes(repositoryBytes.after)} instead of ${formatBytes(repositoryBytes.before)}`,
    '',
    ...sizes(plan),
    '',
    ...refs(plan),
    '',
    ...obstacles.flatMap(({ what, fix }) => [`first       ${what}`, `            ${fix}`]),
    ...(obstacles.length > 0 ? [''] : []),
    ...steps.flatMap(({ title, commands }) => [`# ${title}.`, ...commands, '']),
    'Nothing was executed.',
  ].join('\n');
}

function sizes({ patterns, paths, exempt }: ShownLfsPlan): string[] {
  const row = (bytes: number, versions: number, name: string): string =>
    `${formatBytes(bytes).padStart(8)}  ${counted(versions, 'version').padStart(12)}  ${name}`;
  return [
    ...patterns.map(({ pattern, bytes, versions, files }) =>
      row(bytes, versions, `${pattern} (${counted(files, 'file')})`),
    ),
    '',
    ...listed(paths.map(({ path, bytes, versions }) => row(bytes, versions, path))),
    ...listed(exempt.map((path) => `stays in git by a rule of yours: ${path}`)),
  ];
}

function refs({ refs: { rewritten, remote, untouched }, remotes }: ShownLfsPlan): string[] {
  return [
    ...listed(rewritten.map((ref) => `rewritten   ${ref}`)),
    ...listed(remote.map((ref) => `as it was   ${ref}, until the new history is pushed`)),
    ...listed(untouched.map((ref) => `as it was   ${ref}, which git-lfs leaves out`)),
    ...remotes.map(({ name, url }) => `remote      ${name}, ${url}`),
  ];
}

function listed(lines: readonly string[]): string[] {
  const rest = lines.length - MAX_LISTED;
  return rest > 0 ? [...lines.slice(0, MAX_LISTED), `and ${rest} more`] : [...lines];
}

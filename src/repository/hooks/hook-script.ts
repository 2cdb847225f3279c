/** How a hook starts birdbone. */
export interface HookPaths {
  /** The node that runs this birdbone, and its entry; empty for a hook that is shared, where neither means anything. */
  readonly node: string;
  readonly entry: string;
}

const FIRST_LINES = [
  '#!/bin/sh',
  '# Written by "birdbone hooks install", and removed by "birdbone hooks uninstall".',
  '# It refuses a commit whose weights are not what the committed .weight_hashes.json says.',
];

/** A node that git does not find: a desktop program starts git without the shell's PATH. */
const LAST_LINES = [
  'if [ -x "$node" ] && [ -f "$entry" ]; then',
  '  exec "$node" "$entry" hash --check --staged --quiet',
  'fi',
  'if command -v birdbone >/dev/null 2>&1; then',
  '  exec birdbone hash --check --staged --quiet',
  'fi',
  'echo "birdbone: the weights of this commit were not checked, so it is refused." >&2',
  'echo "Neither the birdbone that installed this hook nor one on the PATH was found." >&2',
  'echo "Install it and run: birdbone hooks install. Or commit unchecked: git commit --no-verify" >&2',
  'exit 1',
];

/** The pre-commit hook: POSIX shell, one exec. */
export function hookScript({ node, entry }: HookPaths): string {
  return [...FIRST_LINES, `node=${shellQuoted(node)}`, `entry=${shellQuoted(entry)}`, ...LAST_LINES, ''].join('\n');
}

/** True for a hook that is as birdbone wrote it, wherever its node was; false when anybody has changed a line. */
export function isOurHook(text: string): boolean {
  const lines = text.split('\n');
  const [node = '', entry = ''] = lines.slice(FIRST_LINES.length, FIRST_LINES.length + 2);
  const own = [...FIRST_LINES, node, entry, ...LAST_LINES, ''];
  return lines.join('\n') === own.join('\n') && node.startsWith("node='") && entry.startsWith("entry='");
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

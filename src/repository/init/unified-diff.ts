/** Unchanged lines shown around a change, as `diff -u` has them. */
const CONTEXT_LINES = 3;

/**
 * The unified diff that makes `after` of `before` (undefined: there is no file), as `git apply` takes it; empty when nothing
 * changes. One hunk from the first changed line to the last: what `init` changes lies in one place.
 */
export function unifiedDiff(path: string, before: string | undefined, after: string): string {
  if (before === after) return '';
  const [old, now] = [linesOf(before ?? ''), linesOf(after)];
  const start = commonLength(old, now);
  const kept = commonLength(old.slice(start).toReversed(), now.slice(start).toReversed());
  const from = Math.max(0, start - CONTEXT_LINES);
  const behind = Math.min(kept, CONTEXT_LINES);
  const [oldEnd, nowEnd] = [old.length - kept, now.length - kept];
  const body = [
    ...old.slice(from, start).map((line) => ` ${line}`),
    ...old.slice(start, oldEnd).map((line) => `-${line}`),
    ...now.slice(start, nowEnd).map((line) => `+${line}`),
    ...old.slice(oldEnd, oldEnd + behind).map((line) => ` ${line}`),
  ];
  const range = (end: number): string => rangeOf(from, end + behind - from);
  return [
    `--- ${before === undefined ? '/dev/null' : `a/${path}`}\n`,
    `+++ b/${path}\n`,
    `@@ -${range(oldEnd)} +${range(nowEnd)} @@\n`,
    ...body.map((line) => (line.endsWith('\n') ? line : `${line}\n\\ No newline at end of file\n`)),
  ].join('');
}

/** Line numbers count from 1; an empty range names the line before it. */
function rangeOf(from: number, length: number): string {
  return `${length === 0 ? from : from + 1},${length}`;
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.split(/(?<=\n)/);
}

function commonLength(a: readonly string[], b: readonly string[]): number {
  const differs = a.findIndex((line, index) => line !== b[index]);
  return differs === -1 ? a.length : differs;
}

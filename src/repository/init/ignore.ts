import { withBlock } from './marked-block.js';

/** What birdbone leaves beside its results and nobody else needs: states of runs, and files that were never finished. */
const IGNORED = ['.birdbone/', '.*.tmp-*', '.*.birdbone-new', '.*.birdbone-old'] as const;

/** A .gitignore text with a line for everything of ours that does not belong into git. */
export function mergeIgnore(text: string): string {
  const present = new Set(text.split('\n').map((line) => line.trim()));
  return withBlock(text, {
    title: 'states of runs, and files that were never finished',
    lines: IGNORED.filter((line) => !present.has(line)),
  });
}

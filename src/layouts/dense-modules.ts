import { isCoded, type LinearUse } from './rules.js';

/** The modules of linear layers that are left dense, the head always first: engines must be told, or they look for codes. */
export function denseModules(uses: readonly LinearUse[]): string[] {
  const dense = uses.filter((use) => !isCoded(use)).map(({ module }) => module);
  const head = uses.find(({ role }) => role === 'head');
  // A tied head is a module all the same, and no engine quantizes it.
  if (head === undefined) return ['lm_head', ...dense];
  return isCoded(head) ? dense : [head.module, ...dense.filter((module) => module !== head.module)];
}

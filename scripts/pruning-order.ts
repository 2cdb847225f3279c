import type { Comparison } from './pruning-results.js';

/** What must not be worse than what, at which pattern: the order in which the papers found them. */
const ORDER = [
  { better: ['sparsegpt'], worse: 'wanda', patterns: ['50%', '2:4'] },
  { better: ['wanda'], worse: 'magnitude', patterns: ['2:4'] },
  // One of the two must be better.
  { better: ['sparsegpt + refit', 'alps'], worse: 'sparsegpt', patterns: ['50%', '2:4', '4:8'] },
];

/** In words, every place where a method that must be better has the higher perplexity; rows that are missing say nothing. */
export function disorders(rows: readonly Comparison[]): string[] {
  const models = [...new Set(rows.map(({ model }) => model))];
  return models.flatMap((model) =>
    ORDER.flatMap(({ better, worse, patterns }) =>
      patterns.flatMap((pattern) => {
        const of = (method: string) => perplexityOf(rows, { model, method, pattern });
        const found = better.flatMap((method) => of(method) ?? []);
        const limit = of(worse);
        if (limit === undefined || found.length === 0 || Math.min(...found) <= limit) return [];
        return [`${model} ${pattern}: ${better.join(' or ')} ${Math.min(...found)} is worse than ${worse} ${limit}`];
      }),
    ),
  );
}

function perplexityOf(
  rows: readonly Comparison[],
  { model, method, pattern }: { readonly model: string; readonly method: string; readonly pattern: string },
): number | undefined {
  const row = rows.find(
    (each) => each.model === model && each.method === method && each.pattern === pattern && each.protocol === 'B',
  );
  return row?.ours.figures.perplexity;
}

import { BirdboneError } from './errors.js';
import { nearest } from './nearest.js';

/** A closed, lazy table from name to implementation: the names are known without loading anything. */
export interface Registry<T> {
  readonly kind: string;
  readonly names: readonly string[];
  /** Loads one implementation; an unknown name is a usage error that lists the known ones. */
  load(name: string): Promise<T>;
}

/**
 * Makes the registry of one seam. Each line is `name: () => import('./file.js')`, whose default export is the implementation.
 *
 * @example
 * export const metrics = registryOf<ImportanceMetric>()('metric', { wanda: () => import('./wanda.js') });
 */
export function registryOf<T>() {
  return <Loaders extends Record<string, () => Promise<{ default: T }>>>(
    kind: string,
    loaders: Loaders,
  ): Registry<T> => {
    const table = new Map(Object.entries(loaders));
    const names = [...table.keys()];
    return {
      kind,
      names,
      async load(name) {
        const loader = table.get(name);
        if (loader === undefined) {
          throw new BirdboneError('usage', `There is no ${kind} "${name}". Known: ${names.join(', ')}.`, {
            suggestions: nearest(name, names).slice(0, 1),
          });
        }
        return (await loader()).default;
      },
    };
  };
}

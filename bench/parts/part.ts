/** What a run of the bench was asked for, for all its parts. */
export interface PartOptions {
  /** CPU threads that both sides of a pair get; all cores unless given. */
  readonly threads?: number | undefined;
  /** Blocks of the model that whole jobs run on, in place of those that make 100 million parameters. */
  readonly blocks?: number | undefined;
  /** Windows of 512 tokens that whole jobs calibrate on, in place of 128. */
  readonly windows?: number | undefined;
}

/** One thing that the bench measures: the default export of a file in parts/, and a row of parts/index.ts. */
export interface Part {
  /** One line, which also says against what. */
  readonly title: string;
  /** Measures, and gives the figures, which go into bench/results, and their table for people and docs. */
  run(options: PartOptions): Promise<Measured>;
}

export interface Measured {
  readonly figures: unknown;
  /** Markdown. */
  readonly table: string;
  /** SVG files by the path that the table names them by, seen from the page: `pictures/scaling.svg`. */
  readonly pictures?: Readonly<Record<string, string>>;
}

/**
 * A part from what measures and what renders.
 *
 * @example
 * export default partOf('Hashing and diffing against sha256sum', hashing, renderHashing);
 */
export function partOf<Figures>(
  title: string,
  measure: (options: PartOptions) => Promise<Figures>,
  render: (figures: Figures) => string,
): Part {
  return {
    title,
    async run(options) {
      const figures = await measure(options);
      return { figures, table: render(figures) };
    },
  };
}

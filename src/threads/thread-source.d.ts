/** thread.ts and all that it imports as one script of CommonJS, made by scripts/bundle-thread.mjs. */
export const source: string;

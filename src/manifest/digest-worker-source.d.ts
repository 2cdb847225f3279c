/** digest-worker.ts and all that it imports as one script of CommonJS, made by scripts/bundle-encoder.mjs. */
export const source: string;

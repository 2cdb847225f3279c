/** The bytes of block-search.wat, compiled by scripts/build-kernels.mjs. */
export const wasm: Uint8Array<ArrayBuffer>;

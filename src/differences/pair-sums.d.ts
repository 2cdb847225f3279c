/** The bytes of value-sums.wat, compiled by scripts/build-kernels.mjs. */
export const wasm: Uint8Array<ArrayBuffer>;

/** The bytes of rounding.wat, compiled by scripts/build-kernels.mjs. */
export const wasm: Uint8Array<ArrayBuffer>;

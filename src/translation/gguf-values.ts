import type { GgufValue } from '../checkpoint/gguf/value.js';

export const u32 = (value: number): GgufValue => ({ type: 'u32', value });
export const f32 = (value: number): GgufValue => ({ type: 'f32', value: Math.fround(value) });
export const bool = (value: boolean): GgufValue => ({ type: 'bool', value });
export const string = (value: string): GgufValue => ({ type: 'string', value });
export const i32s = (values: readonly number[]): GgufValue => ({ type: 'array', of: 'i32', values });
export const bools = (values: readonly boolean[]): GgufValue => ({ type: 'array', of: 'bool', values });

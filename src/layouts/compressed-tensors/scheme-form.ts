import type { Scheme } from '../../quantization/index.js';
import { type CodedLinear, refusal } from '../rules.js';

/** How compressed-tensors stores a module. */
export type Format = 'pack-quantized' | 'int-quantized' | 'float-quantized' | 'naive-quantized';

/** What the inputs of a module are rounded to. */
export type Inputs = 'none' | 'int8-token' | 'fp8-token' | 'fp8-group' | 'fp8-static';

/** A module's scheme as compressed-tensors says it. */
export interface SchemeForm {
  readonly format: Format;
  readonly scheme: Scheme;
  readonly inputs: Inputs;
}

export const NAME = 'compressed-tensors';

/**
 * How a module is stored and what its engine does with the inputs. `hasInputScale`: calibration measured one scale for them. Throws
 * `unsupported` for what the format has no form for.
 * Source: vllm-project/compressed-tensors, quantization/quant_scheme.py (the presets), compressors/format.py.
 */
export function formOf({ weight, scheme }: CodedLinear, hasInputScale: boolean): SchemeForm {
  const inputs = inputsOf(scheme, hasInputScale);
  const refuse = (problem: string, suggestion: string) =>
    refusal(NAME, 'schemes', { tensor: weight, problem: `${weight} ${problem}`, suggestion });
  if (scheme.type === 'float') {
    if (scheme.format !== 'F8_E4M3') throw refuse(`is ${scheme.format}, and its FP8 is F8_E4M3`, 'Quantize to fp8.');
    if (inputs === 'int8-token') throw refuse('is FP8 with inputs in INT8', 'Take fp8 or w8a8-fp8.');
    return { format: inputs === 'none' ? 'naive-quantized' : 'float-quantized', scheme, inputs };
  }
  if (scheme.strategy === 'block') throw refuse('has integers in blocks', 'Take groups, or one scale a row.');
  if (scheme.activations === undefined) {
    if (scheme.strategy !== 'tensor') return { format: 'pack-quantized', scheme, inputs: 'none' };
    throw refuse('has one scale for the whole matrix, and packed integers have one a row or group', 'Take groups.');
  }
  if (scheme.bits !== 8 || scheme.activations !== 'int8' || !scheme.symmetric) {
    throw refuse(
      'has inputs in 8 bits without being symmetric INT8 itself',
      'Take w8a8, or leave the inputs as they are.',
    );
  }
  return { format: 'int-quantized', scheme, inputs };
}

function inputsOf({ activations, strategy, type }: Scheme, hasInputScale: boolean): Inputs {
  if (type === 'float' && strategy === 'tensor' && hasInputScale) return 'fp8-static';
  if (activations === undefined) return 'none';
  if (activations === 'int8') return 'int8-token';
  return strategy === 'block' ? 'fp8-group' : 'fp8-token';
}

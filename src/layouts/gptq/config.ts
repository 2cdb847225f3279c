import type { JsonObject } from '../../checkpoint/index.js';
import type { Scheme } from '../../quantization/index.js';
import type { GptqRun } from '../layout.js';
import { type CodedLinear, isCoded, type LinearUse } from '../rules.js';

export const NAME = 'gptq';

/** What a module's scheme is in GPTQ's words. */
interface GptqScheme {
  readonly bits: number;
  /** −1: one scale a row. */
  readonly group_size: number;
  readonly sym: boolean;
}

function inGptqWords({ bits, groupSize, symmetric }: Scheme): GptqScheme {
  return { bits, group_size: groupSize ?? -1, sym: symmetric };
}

/** What a run that says nothing of itself is taken to have done: the fields have no other use than to tell. */
const UNKNOWN_RUN: GptqRun = { dampPercent: 0.01, staticGroups: false, trueSequential: true };

/**
 * The quantization_config of config.json, which quantize_config.json has too. The scheme of most modules is the model's; the others
 * are under `dynamic`, as patterns that are tried in order: `-:` for modules that stay dense, `+:` for those with another scheme.
 * Source: AutoGPTQ, quantization/config.py; GPTQModel, quantization/config.py (`dynamic_get`).
 */
export function quantizationConfig(uses: readonly LinearUse[], run: GptqRun = UNKNOWN_RUN): JsonObject {
  const linears = uses.filter(isCoded);
  const base = commonest(linears);
  const head = uses.find(({ role }) => role === 'head');
  const dynamic = dynamicRules(
    uses.filter(({ role }) => role !== 'head'),
    base,
  );
  return {
    bits: base.bits,
    group_size: base.group_size,
    damp_percent: run.dampPercent,
    // Groups are those of the order in which inputs are stored, also where they were quantized in another.
    desc_act: false,
    static_groups: run.staticGroups,
    sym: base.sym,
    true_sequential: run.trueSequential,
    lm_head: head !== undefined && isCoded(head),
    quant_method: NAME,
    checkpoint_format: NAME,
    ...(Object.keys(dynamic).length > 0 && { dynamic }),
  };
}

function commonest(linears: readonly CodedLinear[]): GptqScheme {
  const counts = new Map<string, number>();
  for (const { scheme } of linears) {
    const key = JSON.stringify(inGptqWords(scheme));
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const [[key] = ['']] = [...counts].sort((left, right) => right[1] - left[1]);
  return JSON.parse(key) as GptqScheme;
}

function dynamicRules(uses: readonly LinearUse[], base: GptqScheme): JsonObject {
  const rules: Record<string, JsonObject> = {};
  for (const use of uses) {
    const own = use.scheme === undefined ? undefined : inGptqWords(use.scheme);
    if (own !== undefined && JSON.stringify(own) === JSON.stringify(base)) continue;
    const [sign, values] = own === undefined ? ['-:', {}] : ['+:', { ...own }];
    for (const module of modulesOf(use)) rules[`${sign}^${module.replaceAll('.', '\\.')}$`] = values;
  }
  return rules;
}

const FUSED_MODULES: Partial<Record<LinearUse['role'], string>> = { q: 'qkv_proj', gate: 'gate_up_proj' };

/** vLLM looks a rule up by the name of the layer into which it puts several modules. */
function modulesOf({ module, role, expert }: LinearUse): string[] {
  const fused = expert === undefined ? FUSED_MODULES[role] : undefined;
  return fused === undefined ? [module] : [module, `${module.slice(0, module.lastIndexOf('.') + 1)}${fused}`];
}

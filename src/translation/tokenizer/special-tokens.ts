import type { GgufValue } from '../../checkpoint/index.js';
import { contentOf, fieldsOf, type TokenizerDefinition } from './definition.js';
import { SPECIAL_ROLES, type SpecialRole } from './vocabulary.js';

/** What config.json says of the tokens. */
export interface TokenNumbers {
  /** Rows of the embedding: as many tokens there are. */
  readonly rows: number;
  readonly bos?: number;
  /** All ids that end a text. */
  readonly eos: readonly number[];
}

/** The tokenizer's own special tokens; where it names none, those of config.json. */
export function specialIds(
  { config, definition }: TokenizerDefinition,
  { bos, eos }: TokenNumbers,
  tokens: readonly string[],
) {
  const model = fieldsOf(definition['model']) ?? {};
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const fallback: Partial<Record<SpecialRole, number | undefined>> = {
    bos,
    eos: eos[0],
    unknown: ids.get(contentOf(model['unk_token']) ?? ''),
  };
  return Object.fromEntries(
    (Object.keys(SPECIAL_ROLES) as SpecialRole[]).flatMap((role) => {
      const named = ids.get(contentOf(config[`${SPECIAL_ROLES[role]}_token`]) ?? '');
      const id = named ?? fallback[role];
      return id === undefined ? [] : [[`${role}_token_id`, { type: 'u32', value: id } as GgufValue]];
    }),
  );
}

/** Whether a text is to begin with BOS, or end with EOS: what tokenizer_config.json says, or the template of tokenizer.json. */
export function addsToken({ config, definition }: TokenizerDefinition, role: 'bos' | 'eos'): boolean {
  const said = config[`add_${role}_token`];
  if (typeof said === 'boolean') return said;
  const token = contentOf(config[`${role}_token`]);
  const single = templateOf(definition['post_processor'])?.['single'];
  const entry: unknown = Array.isArray(single) ? single.at(role === 'bos' ? 0 : -1) : undefined;
  return token !== undefined && fieldsOf(fieldsOf(entry)?.['SpecialToken'])?.['id'] === token;
}

function templateOf(processor: unknown): Readonly<Record<string, unknown>> | undefined {
  const fields = fieldsOf(processor);
  if (fields?.['type'] === 'TemplateProcessing') return fields;
  const parts = fields?.['processors'];
  return Array.isArray(parts) ? parts.map(fieldsOf).find((part) => part?.['type'] === 'TemplateProcessing') : undefined;
}

import { fieldsOf, type TokenizerDefinition } from './definition.js';

/** A list of named templates, as some models have it, is its default one here. */
export function chatTemplate({ config, chatTemplate: file }: TokenizerDefinition): {
  template?: string;
  notices: readonly string[];
} {
  const value = file ?? config['chat_template'];
  if (typeof value === 'string') return { template: value, notices: [] };
  if (!Array.isArray(value)) return { notices: [] };
  const named = value.map(fieldsOf);
  const template = named.find((entry) => entry?.['name'] === 'default')?.['template'];
  const others = named.flatMap((entry) =>
    typeof entry?.['name'] === 'string' && entry['name'] !== 'default' ? [entry['name']] : [],
  );
  const notices =
    others.length === 0 ? [] : [`Chat templates other than the default are not carried over: ${others.join(', ')}.`];
  return typeof template === 'string' ? { template, notices } : { notices };
}

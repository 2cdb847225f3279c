import { type JsonObject, quoted, readJsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type Finding, finding } from './rules.js';

/** The largest tokenizer.json seen has 35 MB. */
const MAX_CONFIG_BYTES = 64_000_000;
/** Python's insides and Jinja's globals, by which a template that is not run in a sandbox gets at everything. */
const ESCAPE = /__\w+__|\\x5f|\b(?:lipsum|cycler|joiner|popen|subprocess)\b|\bself\._|\|\s*attr\b/;

/** What to be wary of in a model's JSON file: code that it names, and templates that loaders run. Nothing is run here. */
export async function scanConfig(path: string): Promise<Finding[]> {
  const config = await readJsonObject(path, { maxBytes: MAX_CONFIG_BYTES }).catch((error: unknown) => {
    if (error instanceof BirdboneError && error.code === 'unreadable') return error;
    throw error;
  });
  if (config instanceof BirdboneError) return [finding('unreadable', path, config.message)];
  return [...remoteCode(path, config), ...templatesIn(path, config['chat_template'])];
}

/** What to say of a template in a file of its own. */
export function scanTemplate(path: string, text: string): Finding[] {
  return templatesIn(path, text);
}

function remoteCode(path: string, config: JsonObject): Finding[] {
  const found: Finding[] = [];
  const map = config['auto_map'];
  if (map !== undefined) {
    const named = typeof map === 'object' && map !== null ? Object.values(map) : [map];
    const shown = named
      .flat()
      .slice(0, 4)
      .map((name) => quoted(String(name)));
    found.push(finding('remote-code', path, `Its auto_map names the code ${shown.join(', ')}.`));
  }
  if (config['trust_remote_code'] === true) {
    found.push(finding('remote-code', path, 'It asks for trust_remote_code.'));
  }
  for (const key of ['custom_pipelines', 'custom_pipeline']) {
    if (config[key] !== undefined) found.push(finding('remote-code', path, `It names code under ${quoted(key)}.`));
  }
  return found;
}

/** A template, or several by name. */
function templatesIn(path: string, template: unknown): Finding[] {
  const texts = Array.isArray(template)
    ? template.map((entry: unknown) => (entry as { template?: unknown } | null)?.template)
    : [template];
  return texts
    .filter((text) => typeof text === 'string')
    .map((text) => {
      const escaping = ESCAPE.exec(programOf(text))?.[0];
      return escaping === undefined
        ? finding('template', path, `It has a chat template of ${text.length} characters.`)
        : finding('template-escape', path, `Its chat template has ${quoted(escaping)} in it.`);
    });
}

/** The parts of a template that are program: what stands in {{ }} and {% %}. */
function programOf(template: string): string {
  const parts: string[] = [];
  let at = 0;
  while (at < template.length) {
    const open = /\{[{%]/g;
    open.lastIndex = at;
    const start = open.exec(template)?.index ?? template.length;
    const close = template[start + 1] === '%' ? '%}' : '}}';
    const end = template.indexOf(close, start + 2);
    at = end === -1 ? template.length : end;
    parts.push(template.slice(start, at));
  }
  return parts.join('\n');
}
